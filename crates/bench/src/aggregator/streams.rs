//! The Kafka Streams program: see `streams/PageviewStreams.java`.

use std::fs;

use anyhow::Context as _;

use crate::arena::{Arena, LIMIT};
use crate::child::Child;
use crate::java::Program;
use crate::tally::Counts;
use crate::topics::{self, PARTITIONS};
use crate::usage::Usage;

const SOURCE: &str = include_str!("../../streams/PageviewStreams.java");
const CLASS: &str = "PageviewStreams";

/// The program, compiled.
pub(super) struct Streams<'a> {
    arena: &'a Arena,
    program: Program<'a>,
    commit_interval_ms: u32,
}

impl<'a> Streams<'a> {
    /// Fetches its jars and compiles it.
    pub(super) async fn prepare(arena: &'a Arena, commit_interval_ms: u32) -> anyhow::Result<Self> {
        let jars = arena.broker.streams_jars().await?;
        let program = Program::compile(arena, CLASS, SOURCE, &jars).await?;
        Ok(Self { arena, program, commit_interval_ms })
    }

    /// Reads the whole `topic`, from its first event until `events` have gone through; then its rows are compared with
    /// those that must be there.
    pub(super) async fn catch_up(
        &self,
        topic: &str,
        name: &str,
        events: u64,
        closed: &Counts,
    ) -> anyhow::Result<Usage> {
        let bootstrap = self.arena.bootstrap();
        let output = format!("{name}-aggregates");
        topics::create(&bootstrap, &[(&output, PARTITIONS)]).await?;
        let state = self.program.folder().join(name);
        let mut command = self.program.command(&[]);
        command.args([&bootstrap, topic, &output, name]).arg(&state);
        command.args([events.to_string(), self.commit_interval_ms.to_string()]);
        let mut child = Child::start(command, &self.arena.log(name)).await?;
        let first = child.says("first", LIMIT).await?;
        let done = child.says("done", LIMIT).await?;
        let usage = first.until(&done, events)?;
        topics::check_rows(&bootstrap, &output, closed)?;
        child.kill().await?;
        fs::remove_dir_all(&state).with_context(|| format!("cannot remove {}", state.display()))?;
        Ok(usage)
    }
}
