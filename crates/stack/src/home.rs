//! The folder a stack lives in: `.stack/` of the repository, or a temporary one for a test.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::kafka;

/// A log larger than this is put aside when its process is started next.
const LOG_LIMIT: u64 = 32 << 20;

/// Where everything of one stack is. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The folder at `root`, which need not exist.
    pub fn at(root: impl AsRef<Path>) -> Result<Home> {
        let root = std::path::absolute(root.as_ref()).context(|| "the current folder is gone".into())?;
        Ok(Home { root })
    }

    /// Makes it, with its folder of logs.
    pub fn create(&self) -> Result<()> {
        let logs = self.logs();
        fs::create_dir_all(&logs).context(|| format!("cannot create {}", logs.display()))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of all logs, one file a process.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The log of one process, for example `aggregator-1`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Of the broker at this place, from 0.
    pub(crate) fn kafka(&self, index: usize) -> PathBuf {
        self.root.join(kafka::name(index))
    }

    pub(crate) fn s3(&self) -> PathBuf {
        self.root.join("s3")
    }

    pub(crate) fn terraform(&self) -> PathBuf {
        self.root.join("terraform")
    }

    /// The supervisor's identity and the mark of its processes, as JSON.
    pub(crate) fn supervisor(&self) -> PathBuf {
        self.root.join("supervisor.json")
    }

    /// Held locked by the supervisor for as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The name of the socket that the supervisor listens on, within [`Home::root`].
    pub(crate) const SOCKET: &str = "control.sock";
}

/// Puts a log that has grown large aside, as `.log.1`.
pub(crate) fn rotate(log: &Path) {
    if fs::metadata(log).is_ok_and(|metadata| metadata.len() > LOG_LIMIT) {
        // A log that cannot be moved goes on growing, which is better than not starting.
        let _ = fs::rename(log, log.with_extension("log.1"));
    }
}

/// The last `lines` lines of a log, indented so that they stand out below a message.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(64 << 10);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    last_lines(&read().unwrap_or_default(), lines)
}

fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = all.len().saturating_sub(lines);
    all[from..].iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_log() {
        assert_eq!(last_lines("a\nb\n\nc\n", 2), "  | b\n  | c");
        assert_eq!(last_lines("", 2), "");
    }
}
