//! The sink itself: its release binary, with its default configuration but for the format and the other writers.

use service::config::Format;
use stack::{Emulator, Service};

use crate::arena::{Arena, LIMIT};
use crate::child::Child;
use crate::usage::Usage;

use super::stored::Bucket;

const WRITTEN: &str = "s3_written_records_total";

/// Drains the topic, from its first look at the ledger until `events` are in S3; then the bucket is checked. Tells its
/// size, too, in bytes.
pub(super) async fn drain(
    arena: &Arena,
    emulator: &Emulator,
    format: Format,
    events: u64,
) -> anyhow::Result<(Usage, u64)> {
    let port = arena.broker.port(Service::S3Sink);
    let mut command = arena.command("s3-sink");
    command
        .env("PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS", arena.bootstrap())
        .env("PAGEVIEW_SERVER__HOST", "127.0.0.1")
        .env("PAGEVIEW_SERVER__PORT", port.to_string())
        .env("PAGEVIEW_SINK__RAW__FORMAT", format.name())
        .env("PAGEVIEW_SINK__AGGREGATES__ENABLED", "false")
        .env("PAGEVIEW_SINK__LATE__ENABLED", "false")
        .env("PAGEVIEW_SINK__DEAD_LETTERS__ENABLED", "false")
        .envs(emulator.env())
        .envs(arena.env.iter().map(|(name, value)| (name, value)));
    let mut child = Child::start(command, &arena.log(&format!("s3-sink-{}", format.name()))).await?;
    let first = child.says(r#""message":"frontier: "#, LIMIT).await?;
    let done = arena.until(&child, port, WRITTEN, events).await?;
    let usage = first.until(&done, events)?;
    let stored = Bucket::of(emulator)?.check_ours(format, events).await?;
    // Killed, it would be a member of its group until its session is over, and the next one would wait for that.
    child.stop(LIMIT).await?;
    Ok((usage, stored))
}
