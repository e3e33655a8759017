//! A contestant's process, and what it says.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use stack::{Broker, Signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::usage::Mark;

/// A process that is killed when this is dropped.
pub(crate) struct Child {
    name: String,
    pid: u32,
    process: tokio::process::Child,
    lines: mpsc::UnboundedReceiver<(String, anyhow::Result<Mark>)>,
}

impl Child {
    /// Starts a command of [`Broker::command`]; all it says goes to `log`, too.
    pub(crate) async fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let program = command.as_std().get_program();
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        let open = || OpenOptions::new().create(true).append(true).open(log);
        let cannot = || format!("cannot write {}", log.display());
        let (mut output, errors) = (open().with_context(cannot)?, open().with_context(cannot)?);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut process = Broker::spawn(command).await?;
        let pid = process.id().with_context(|| format!("{name} has ended"))?;
        let pipe = process.stdout.take().with_context(|| format!("{name} has no output"))?;
        let (to, lines) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut said = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = said.next_line().await {
                let mark = Mark::now(pid);
                // A full disk is no reason to stop, and nobody may be listening any more.
                let _ = writeln!(output, "{line}");
                let _ = to.send((line, mark));
            }
        });
        Ok(Self { name, pid, process, lines })
    }

    /// What it has used by now.
    pub(crate) fn mark(&self) -> anyhow::Result<Mark> {
        Mark::now(self.pid)
    }

    /// Waits until it says `words` as a line, or in a line of JSON; tells what it had used when it said so.
    pub(crate) async fn says(&mut self, words: &str, limit: Duration) -> anyhow::Result<Mark> {
        let wait = async {
            while let Some((line, mark)) = self.lines.recv().await {
                if line == words || (line.starts_with('{') && line.contains(words)) {
                    return mark;
                }
            }
            bail!("{} has ended by itself", self.name)
        };
        let waited = tokio::time::timeout(limit, wait).await;
        waited.with_context(|| format!("{} did not say {words:?} within {} s", self.name, limit.as_secs()))?
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(mut self, limit: Duration) -> anyhow::Result<()> {
        Broker::signal(&self.process, Signal::Term)?;
        let ended = tokio::time::timeout(limit, self.process.wait()).await;
        let ended =
            ended.with_context(|| format!("{} did not stop within {} s", self.name, limit.as_secs()))?;
        let status = ended.with_context(|| format!("cannot wait for {}", self.name))?;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    /// `kill -9`, and waits for the end.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }
}
