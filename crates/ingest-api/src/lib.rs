//! HTTP in: accepted means durable.
//!
//! ```text
//! POST -> observe -> guard -> routes -> body -> request (pure) -> handover -> librdkafka -> all in-sync replicas
//!            |         ^  ^       |        +-- a problem     ^                            |
//!       access_log     |  +-------+-- decode (pure)      producer's budget                |
//!                      +-- 202, or 503 after the delivery timeout <- delivery <- acknowledgements
//! ```
//! All of it comes through a `connection`, which bounds what slow and deaf clients cost.
//!
//! A 202 is sent only after every event of the request is acknowledged by all in-sync replicas. A 503 means *perhaps
//! stored*: it tells which events of the batch are known to be.

mod connection;
mod server;

mod access_log;
pub mod metrics;
mod observe;

mod guard;
mod routes;

mod docs;

mod body;
mod decode;
pub mod headers;
mod problem;
pub mod request;

mod delivery;
mod handover;
mod producer;

use anyhow::Context as _;
use service::Process;

use producer::Producer;

/// Whether the files that the configuration names can be used.
///
/// # Errors
/// Says which one cannot, and why.
pub fn check(config: &service::config::Config) -> Result<(), String> {
    guard::check(config)
}

/// Serves until asked to stop, then finishes what it has accepted.
///
/// # Errors
/// When the port is taken, the Kafka client cannot be made, or the producer fails for good.
pub async fn run(process: Process) -> anyhow::Result<()> {
    // Before Kafka is asked for: once this process is ready, whoever connects must not be refused.
    let listener = server::listen(&process.config)?;
    let producer = Producer::start(&process).context("cannot make the Kafka producer")?;
    let server = server::Server::start(&process, &producer, listener)?;
    tokio::select! {
        () = process.shutdown.wait() => {}
        error = producer.fatal() => {
            process.health.broken(error.to_string());
            server.stop_now().await;
            return Err(error.into());
        }
    }
    server.stop(process.config.shutdown.drain_delay).await;
    // Short of the grace time, so that what is missing is told before the process has to leave.
    producer.flush(server::FLUSH / 2).await.context("not every event was acknowledged before the end")
}
