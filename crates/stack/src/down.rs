//! Takes a stack down from outside, in order where its supervisor answers, and by force where it does not.

use std::fs;
use std::time::Duration;

use crate::control::{self, Request};
use crate::error::{Error, Result};
use crate::supervisor::Record;
use crate::sys::{self, Signal};
use crate::{Event, Home, clock, procfs};

/// Longer than an ordered stop of one process takes: the supervisor says something after each.
const SILENCE: Duration = Duration::from_secs(40);
/// For a supervisor that did not answer, and for what it left behind.
const GRACE: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(20);

/// What there was to take down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// A supervisor, which stopped everything in order.
    InOrder,
    /// What was left by a supervisor that was killed or hangs: this many processes.
    Remains(usize),
    /// Nothing.
    Nothing,
}

/// Stops the stack of this folder. No process of it is left when this returns.
pub async fn down(home: &Home, event: impl FnMut(Event)) -> Result<Down> {
    let record = Record::read(home);
    let asked = control::call(home, &Request::Down, SILENCE, event).await;
    let Some(record) = record else { return Ok(Down::Nothing) };
    if asked.is_ok() {
        // It has nothing left to do but to exit.
        clock::poll(GRACE, EVERY, async || (!record.supervisor.is_running()).then_some(())).await;
    }
    let left = clear(home, &record).await?;
    Ok(match (asked.is_ok(), left) {
        (true, 0) => Down::InOrder,
        (_, 0) => Down::Nothing,
        (_, left) => Down::Remains(left),
    })
}

/// Ends what a supervisor that is gone left behind, if anything.
pub(crate) async fn clear_remains(home: &Home) -> Result<usize> {
    match Record::read(home) {
        Some(record) => clear(home, &record).await,
        None => Ok(0),
    }
}

/// Ends the supervisor if it still runs, and every process that carries its mark. A pid that was given to
/// somebody else meanwhile is not touched.
async fn clear(home: &Home, record: &Record) -> Result<usize> {
    let mut ended = 0;
    if record.supervisor.is_running() {
        ended += 1;
        end(&[record.supervisor.pid]).await?;
    }
    let left = procfs::marked(&record.mark);
    ended += left.len();
    end(&left).await?;
    control::remove(home);
    let _ = fs::remove_file(home.supervisor());
    Ok(ended)
}

/// TERM, then KILL.
async fn end(pids: &[u32]) -> Result<()> {
    for signal in [Signal::Term, Signal::Kill] {
        for pid in pids.iter().filter(|pid| procfs::is_running(**pid)) {
            // It may end in this moment.
            let _ = sys::send(*pid, signal);
        }
        let gone = async || (!pids.iter().any(|pid| procfs::is_running(*pid))).then_some(());
        if clock::poll(GRACE, EVERY, gone).await.is_some() {
            return Ok(());
        }
    }
    Err(Error::Supervisor { error: format!("processes {pids:?} do not end, not even by kill -9"), exit: 1 })
}
