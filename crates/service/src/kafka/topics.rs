//! Whether topics exist, and waiting for those that do not yet.

use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaResult;

use crate::health::Component;
use crate::shutdown::Shutdown;

/// How long one look at the cluster may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Those of `topics` that do not exist.
///
/// # Errors
/// When no broker answers within `timeout`.
pub fn missing_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> KafkaResult<Vec<String>> {
    // All of the cluster's topics: asking for a topic by name would create it where brokers create topics by themselves.
    let metadata = client.fetch_metadata(None, timeout)?;
    let exists =
        |name: &str| metadata.topics().iter().any(|topic| topic.name() == name && topic.error().is_none());
    Ok(topics.iter().filter(|name| !exists(name)).map(|name| (*name).to_owned()).collect())
}

/// How many partitions `topic` has; `None` where there is no such topic.
///
/// # Errors
/// When no broker answers within `timeout`.
pub fn partition_count<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Option<usize>> {
    let metadata = client.fetch_metadata(None, timeout)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
    Ok(found.map(|topic| topic.partitions().len()))
}

/// Blocks until all `topics` exist, and says in `health` what is missing meanwhile; `false` if asked to stop first.
pub fn wait_for_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    health: &Component,
    shutdown: &Shutdown,
) -> bool {
    while !shutdown.requested() {
        match missing_topics(client, topics, TIMEOUT) {
            Ok(missing) if missing.is_empty() => return true,
            Ok(missing) => {
                health.down(format!(
                    "no such topic: {} (make them with `pageviews topics`)",
                    missing.join(", ")
                ));
            }
            Err(error) => health.down(format!("no broker answers: {error}")),
        }
        pause();
    }
    false
}

#[expect(clippy::disallowed_methods, reason = "polls a system that announces nothing")]
fn pause() {
    std::thread::sleep(PAUSE);
}
