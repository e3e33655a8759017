//! The access log: chosen requests, written by a thread of its own, so that no request waits for the log.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::metrics;

/// Lines that wait to be written; those past it are counted and dropped.
const WAITING: usize = 1024;
/// Refused requests that a worker thread logs in a second.
const REFUSED_A_SECOND: u32 = 50;

/// What a line tells of a request.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) took: Duration,
    /// Who asked.
    pub(crate) caller: String,
    /// Why it was refused.
    pub(crate) detail: String,
}

/// Takes lines; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog(SyncSender<Entry>);

impl AccessLog {
    /// Starts the thread, which ends when nobody logs any more.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || write(&receiver))?;
        Ok(Self(sender))
    }

    /// Has `entry` written soon.
    pub(crate) fn log(&self, entry: Entry) {
        if self.0.try_send(entry).is_err() {
            metrics::unlogged();
        }
    }
}

fn write(entries: &Receiver<Entry>) {
    for Entry { request_id, method, path, status, took, caller, detail } in entries {
        let duration_ms = took.as_micros() as f64 / 1000.0;
        tracing::info!(target: "access", request_id, method, path, status, duration_ms, caller, detail);
    }
}

/// Chooses which requests are logged: one of `every` that went well, and all that were refused, up to so many a second.
#[derive(Debug)]
pub(crate) struct Sampler {
    every: usize,
    seen: usize,
    second: u64,
    refused: u32,
}

impl Sampler {
    /// `every` 0 chooses none that went well.
    pub(crate) const fn new(every: usize) -> Self {
        Self { every, seen: 0, second: 0, refused: 0 }
    }

    /// Whether the request that was answered with `status` in the second `now` is logged.
    pub(crate) const fn chooses(&mut self, status: u16, now: u64) -> bool {
        if status < 400 {
            self.seen += 1;
            let chosen = self.seen == self.every;
            self.seen = if chosen { 0 } else { self.seen };
            return chosen;
        }
        if self.second != now {
            (self.second, self.refused) = (now, 0);
        }
        self.refused += 1;
        self.refused <= REFUSED_A_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_so_many_is_chosen() {
        let chosen = |every| {
            let mut sampler = Sampler::new(every);
            (0..100).filter(|_| sampler.chooses(202, 0)).count()
        };
        assert_eq!([0, 1, 10, 100, 101].map(chosen), [0, 100, 10, 1, 0]);
    }

    #[test]
    fn refused_ones_are_chosen_up_to_so_many_a_second() {
        let mut sampler = Sampler::new(0);
        let mut chosen = |second| (0..200).filter(|_| sampler.chooses(503, second)).count();
        assert_eq!([chosen(7), chosen(7), chosen(8)], [50, 0, 50]);
    }
}
