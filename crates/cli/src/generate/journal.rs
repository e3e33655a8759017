//! Writes the receipt file while the load runs.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;

use super::pace::Request;
use crate::receipts::{self, Answer, IdSpace, Receipt};
use crate::verdict::Misused;

/// The receipt file, if one was asked for. Each line is in the kernel's hands before the next request of its
/// connection, so that it survives a kill of this process.
pub(super) struct Journal {
    file: Option<(Mutex<File>, PathBuf)>,
    space: IdSpace,
}

impl Journal {
    /// Starts a file that must not exist: receipts are evidence, and are not overwritten. `copies` says whether a request
    /// may be sent more than once on its way.
    pub(super) fn create(path: Option<&Path>, space: IdSpace, copies: bool) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self { file: None, space }) };
        if path.exists() {
            let path = path.display();
            let words = format!("{path} has receipts of an earlier load: remove it, or name another file");
            return Err(Misused(words).into());
        }
        let file = File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        let journal = Self { file: Some((Mutex::new(file), path.to_owned())), space };
        journal.append(&space.head(copies))?;
        Ok(journal)
    }

    pub(super) fn write(&self, request: Request, answer: Answer) -> anyhow::Result<()> {
        let (first, count) = (self.space.first + request.first, request.count);
        self.append(&Receipt { answer, first, count }.to_string())
    }

    /// Says that no answer is missing.
    pub(super) fn finish(&self, used: u64) -> anyhow::Result<()> {
        self.append(&receipts::end(used))
    }

    fn append(&self, line: &str) -> anyhow::Result<()> {
        let Some((file, path)) = &self.file else { return Ok(()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}
