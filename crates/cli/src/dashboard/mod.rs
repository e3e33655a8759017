//! `pageviews dashboard`: one page that shows the pipeline as it runs.
//!
//! ```text
//! browser -> guard: a GET, of this host -> server -> page.html, page.css, page.js
//!                                                 -> live: /events, /snapshot.json
//! ```

mod guard;
mod server;

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use service::{Config, Shutdown};
use tokio::net::TcpListener;

use crate::live::{self, Sources};
use crate::{Verdict, output, signals};
use guard::Guard;

/// Serve a page that shows the pipeline as it runs
///
/// Whether it works, how fast, and whether anything is lost: what comes in, is counted and is written, the replicas of each
/// service, the top postcodes, the newest objects, and an audit every minute. It only looks: nothing depends on it, and it
/// goes on where Kafka, S3 or a service is away.
///
/// /snapshot.json is the same for programs, /events a stream of it, and /healthz says that the page is served.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where to serve it. On a loopback address it answers this machine alone; anyone who reaches another may look
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8085")]
    listen: SocketAddr,
    #[command(flatten)]
    sources: Sources,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let listener = TcpListener::bind(options.listen).await.with_context(|| {
        format!("cannot listen on {} (is the port in use? --listen changes it)", options.listen)
    })?;
    let address = listener.local_addr()?;
    let shutdown = Shutdown::new();
    tokio::spawn(signals::request(shutdown.clone()));
    let snapshots = live::look(config, &options.sources).await;
    output::line(format!("dashboard on http://{address} (Ctrl-C ends it)"))?;
    server::serve(listener, Guard::of(address), snapshots, shutdown).await;
    Ok(Verdict::Good)
}
