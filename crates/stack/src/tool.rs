//! Runs a tool to its end: Maven, pip, terraform, Kafka's formatter.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use crate::error::{Context, Error, Result};
use crate::launch;
use crate::sys::{self, Signal};

/// One run of a tool.
pub(crate) struct Tool<'a> {
    /// What it does, for the error message: `fetching Kafka`.
    pub(crate) what: &'a str,
    /// Where all its output goes.
    pub(crate) log: &'a Path,
    /// It is killed, with all it started, after this time.
    pub(crate) limit: Duration,
}

impl Tool<'_> {
    /// Hands each line of output that is not blank to `line`; an exit status other than 0 is an error with the tool's last word.
    pub(crate) async fn run(&self, mut command: Command, mut line: impl FnMut(&str)) -> Result<()> {
        let program = PathBuf::from(command.as_std().get_program());
        let starting = || format!("cannot start {}", program.display());
        let output = capture(&mut command).context(starting)?;
        let mut log = tokio::fs::File::create(self.log)
            .await
            .context(|| format!("cannot write {}", self.log.display()))?;
        let mut child = launch::spawn(command).await.context(starting)?;
        let group = KillGroup(child.id());
        let mut last_word = String::new();
        let run = async {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(text)) = lines.next_line().await {
                let _ = log.write_all(format!("{text}\n").as_bytes()).await;
                if !text.trim().is_empty() {
                    line(text.trim());
                }
                keep_last_word(&mut last_word, &text);
            }
            let _ = log.flush().await;
        };
        let status = tokio::time::timeout(self.limit, to_the_end(&mut child, run)).await;
        let reason = match status {
            Ok(Ok(status)) if status.success() => {
                group.forget();
                return Ok(());
            }
            Ok(Ok(status)) if last_word.is_empty() => status.to_string(),
            Ok(Ok(_)) => last_word,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no end after {} s", self.limit.as_secs()),
        };
        Err(Error::Tool { what: self.what.to_owned(), reason, log: self.log.to_owned() })
    }
}

/// Sends both standard output and standard error into one pipe.
fn capture(command: &mut Command) -> io::Result<pipe::Receiver> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    pipe::Receiver::from_owned_fd(reader.into())
}

/// The pipe ends when all who could write to it have; a helper that a tool leaves behind must not hold us up.
async fn to_the_end(
    child: &mut Child,
    read: impl Future<Output = ()>,
) -> io::Result<std::process::ExitStatus> {
    tokio::pin!(read);
    tokio::select! {
        () = &mut read => child.wait().await,
        status = child.wait() => {
            let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
            status
        }
    }
}

/// Prefers a line that says "error" over the very last one, which is often a hint or a rule.
fn keep_last_word(last_word: &mut String, line: &str) {
    let text = line.trim().trim_start_matches(['│', '╷', '╵']).trim();
    let is_error = |text: &str| text.to_ascii_lowercase().contains("error");
    if !text.is_empty() && (is_error(text) || !is_error(last_word)) {
        text.clone_into(last_word);
    }
}

/// Kills a tool and its helpers when the run is given up.
struct KillGroup(Option<u32>);

impl KillGroup {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for KillGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It has ended by itself, most often.
            let _ = sys::send_to_group(group, Signal::Kill);
        }
    }
}

/// Whether a command is on the path.
pub(crate) fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_last_word() {
        let mut word = String::new();
        for line in ["starting", "│ Error: no such bucket", "", "see the manual"] {
            keep_last_word(&mut word, line);
        }
        assert_eq!(word, "Error: no such bucket");
    }
}
