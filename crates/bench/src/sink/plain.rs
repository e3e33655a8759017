//! The plain sink in Java: see `sink/PlainSink.java`.

use stack::Emulator;

use crate::arena::{Arena, LIMIT};
use crate::child::Child;
use crate::java::Program;
use crate::topics::{PARTITIONS, TOPIC};
use crate::usage::Usage;

use super::stored::Bucket;

const SOURCE: &str = include_str!("../../sink/PlainSink.java");
const CLASS: &str = "PlainSink";

/// Drains the topic as the group `name`, with this level of gzip, from its first record until all are in S3; then the bucket is checked. Tells its size, too, in bytes.
pub(super) async fn drain(
    arena: &Arena,
    emulator: &Emulator,
    name: &str,
    level: u8,
    events: u64,
) -> anyhow::Result<(Usage, u64)> {
    let jars = arena.broker.plain_sink_jars().await?;
    let program = Program::compile(arena, CLASS, SOURCE, &jars).await?;
    let mut command = program.command(&["-Xmx1g", "-XX:+UseG1GC"]);
    command.args([
        &arena.bootstrap(),
        TOPIC,
        name,
        &emulator.endpoint(),
        Emulator::BUCKET,
        &level.to_string(),
    ]);
    let mut child = Child::start(command, &arena.log(name)).await?;
    let first = child.says("first", LIMIT).await?;
    let done = child.says("done", LIMIT).await?;
    let usage = first.until(&done, events)?;
    child.kill().await?;
    // It knows of no hours, and has taken the last record of each partition with the rest.
    let stored = Bucket::of(emulator)?.check_plain(events + u64::from(PARTITIONS.unsigned_abs())).await?;
    Ok((usage, stored))
}
