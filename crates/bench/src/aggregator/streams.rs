//! The Kafka Streams program: see `streams/PageviewStreams.java`.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::arena::{Arena, LIMIT};
use crate::child::Child;
use crate::tally::Counts;
use crate::topics::{self, PARTITIONS};
use crate::usage::Usage;

const SOURCE: &str = include_str!("../streams/PageviewStreams.java");
const CLASS: &str = "PageviewStreams";

/// The program, compiled.
pub(crate) struct Streams<'a> {
    arena: &'a Arena,
    class_path: OsString,
    folder: PathBuf,
    commit_interval_ms: u32,
}

impl<'a> Streams<'a> {
    /// Fetches its jars and compiles it.
    pub(crate) async fn prepare(arena: &'a Arena, commit_interval_ms: u32) -> anyhow::Result<Self> {
        let jars = arena.broker.streams_jars().await?.join("*");
        let folder = arena.broker.home().root().join("streams");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let source = folder.join(format!("{CLASS}.java"));
        fs::write(&source, SOURCE).with_context(|| format!("cannot write {}", source.display()))?;
        let mut compile = Command::new(arena.broker.java().with_file_name("javac"));
        compile.arg("-cp").arg(&jars).arg("-d").arg(&folder).arg(&source);
        let output = compile.output().await;
        let output = output.context(
            "javac does not start, which compiles the Kafka Streams program: install a JDK (Debian: \
             openjdk-17-jdk-headless), or leave that program out with --only aggregator,bare,restart",
        )?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the Kafka Streams program does not compile: {words}");
        let mut class_path = OsString::from(&folder);
        class_path.push(":");
        class_path.push(jars);
        Ok(Self { arena, class_path, folder, commit_interval_ms })
    }

    /// Reads the whole `topic`, from its first event until `events` have gone through; then its rows are compared with
    /// those that must be there.
    pub(crate) async fn catch_up(
        &self,
        topic: &str,
        name: &str,
        events: u64,
        closed: &Counts,
    ) -> anyhow::Result<Usage> {
        let bootstrap = self.arena.bootstrap();
        let output = format!("{name}-aggregates");
        topics::create(&bootstrap, &[(&output, PARTITIONS)]).await?;
        let state = self.folder.join(name);
        let mut command = self.arena.broker.command(self.arena.broker.java());
        // Its native libraries are unpacked there, and left when it is killed.
        let mut temporary = OsString::from("-Djava.io.tmpdir=");
        temporary.push(&self.folder);
        command.arg(temporary).arg("-cp").arg(&self.class_path).arg(CLASS);
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
