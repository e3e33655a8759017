//! The loop that only polls: see crate `bench-bare`.

use crate::arena::{Arena, LIMIT};
use crate::child::Child;
use crate::usage::Usage;

/// Reads `events` of `topic`.
pub(super) async fn read(arena: &Arena, topic: &str, name: &str, events: u64) -> anyhow::Result<Usage> {
    let mut command = arena.command("bench-bare");
    command.args([&arena.bootstrap(), topic, name, &events.to_string()]);
    let mut child = Child::start(command, &arena.log(name)).await?;
    let first = child.says("first", LIMIT).await?;
    let done = child.says("done", LIMIT).await?;
    let usage = first.until(&done, events)?;
    child.kill().await?;
    Ok(usage)
}
