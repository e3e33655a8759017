//! The sink itself: its release binary, with its default configuration but for the format and the other writers.

use std::collections::BTreeMap;

use serde_json::Value;
use service::config::Format;
use stack::{Emulator, Service};

use crate::arena::{Arena, LIMIT};
use crate::child::Child;
use crate::usage::Usage;

use super::stored::Bucket;

/// Has it say what it has written.
const LOG: (&str, &str) = ("RUST_LOG", "info,s3_sink::tasks=debug");

/// Drains the topic, from its first look at the ledger until the events of all `partitions` are in S3; then the bucket is
/// checked. Tells its size, too, in bytes.
pub(super) async fn drain(
    arena: &Arena,
    emulator: &Emulator,
    format: Format,
    partitions: &[u64],
) -> anyhow::Result<(Usage, u64)> {
    let mut command = arena.command("s3-sink");
    command
        .env("PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS", arena.bootstrap())
        .env("PAGEVIEW_SERVER__HOST", "127.0.0.1")
        .env("PAGEVIEW_SERVER__PORT", arena.broker.port(Service::S3Sink).to_string())
        .env("PAGEVIEW_SINK__RAW__FORMAT", format.name())
        .env("PAGEVIEW_SINK__AGGREGATES__ENABLED", "false")
        .env("PAGEVIEW_SINK__LATE__ENABLED", "false")
        .env("PAGEVIEW_SINK__DEAD_LETTERS__ENABLED", "false")
        .env(LOG.0, LOG.1)
        .envs(emulator.env())
        .envs(arena.env.iter().map(|(name, value)| (name, value)));
    let mut child = Child::start(command, &arena.log(&format!("s3-sink-{}", format.name()))).await?;
    let first = child.says(r#""message":"frontier: "#, LIMIT).await?;
    let mut unwritten = Unwritten::of(partitions);
    let done = child.until(|line| unwritten.is_none_after(line), LIMIT).await?;
    let usage = first.until(&done, partitions.iter().sum())?;
    let stored = Bucket::of(emulator)?.check_ours(format, partitions).await?;
    // Killed, it would be a member of its group until its session is over, and the next one would wait for that.
    child.stop(LIMIT).await?;
    Ok((usage, stored))
}

/// The partitions of which something is not in S3 yet, and how many events each has.
struct Unwritten(BTreeMap<u64, u64>);

impl Unwritten {
    fn of(partitions: &[u64]) -> Self {
        Self((0..).zip(partitions.iter().copied()).collect())
    }

    /// Whether there is none, now that the sink has said `line`. A partition's ranges are written one after the other,
    /// and the offset of an event is how many there are before it.
    fn is_none_after(&mut self, line: &str) -> bool {
        if let Ok(line) = serde_json::from_str::<Value>(line)
            && line["message"] == "written"
            && let (Some(partition), Some(end)) = (line["partition"].as_u64(), line["end"].as_u64())
            && self.0.get(&partition).is_some_and(|events| *events <= end)
        {
            self.0.remove(&partition);
        }
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_written_when_each_partition_was_up_to_its_last_event() {
        let mut unwritten = Unwritten::of(&[10, 0, 20]);
        let mut after = |partition, end| {
            let line = format!(r#"{{"message":"written","partition":{partition},"start":0,"end":{end}}}"#);
            unwritten.is_none_after(&line)
        };
        assert!(!after(0, 9) && !after(2, 20) && !after(2, 21) && !after(1, 0));
        assert!(after(0, 10));
        assert!(!Unwritten::of(&[1]).is_none_after("no JSON"));
        let other = r#"{"message":"cut","partition":0,"start":0,"end":1}"#;
        assert!(!Unwritten::of(&[1]).is_none_after(other));
    }
}
