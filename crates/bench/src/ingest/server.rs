//! A server under a load, with a topic of its own, and a check of what it stored.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use stack::Service;

use crate::arena::Arena;
use crate::arguments::Poster;
use crate::child::Child;
use crate::topics::{self, PARTITIONS};

use super::client::Load;
use super::report::Run;

/// How long a server may take to start, and to stop.
const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

/// Starts the server, loads it, and stops it. Every event that was accepted must be in its topic, once.
pub(super) async fn under(arena: &Arena, poster: Poster, name: &str, load: &Load) -> anyhow::Result<Run> {
    let port = arena.broker.port(Service::IngestApi);
    topics::create(&arena.bootstrap(), &[(name, PARTITIONS)]).await?;
    let mut command = match poster {
        Poster::IngestApi => arena.command("ingest-api"),
        _ => arena.command("bench"),
    };
    match poster {
        Poster::IngestApi => command
            .env("PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS", arena.bootstrap())
            .env("PAGEVIEW_SERVER__HOST", "127.0.0.1")
            .env("PAGEVIEW_SERVER__PORT", port.to_string())
            .env("PAGEVIEW_PIPELINE__PAGEVIEWS_TOPIC", name)
            // No client goes elsewhere; the promise does not rest on it.
            .env("PAGEVIEW_SHUTDOWN__DRAIN_DELAY", "0s")
            .envs(arena.env.iter().map(|(name, value)| (name, value))),
        Poster::Actix => command.args(["rival", "actix", &arena.bootstrap(), name, &port.to_string()]),
        Poster::Naive | Poster::Bare => {
            command.args(["rival", "naive", &arena.bootstrap(), name, &port.to_string()])
        }
    };
    let child = Child::start(command, &arena.log(name)).await?;
    ready(arena, port).await?;
    let (run, accepted) = load.send(port, &child).await?;
    child.stop(STOP).await?;
    if poster != Poster::Actix {
        let stored = topics::records(&arena.bootstrap(), name)?;
        ensure!(stored == accepted, "{name}: {accepted} events were answered 202, {stored} are in the topic");
    }
    topics::delete(&arena.bootstrap(), name).await?;
    Ok(run)
}

async fn ready(arena: &Arena, port: u16) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{port}/actuator/health/readiness");
    let wait = async {
        while arena.get(&url).await.is_err() {
            stack::pause(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(START, wait).await.with_context(|| format!("nothing is ready on port {port}"))
}
