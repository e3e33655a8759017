//! What one partition does next: a state machine that knows no Kafka, no S3 and no clock.
//!
//! ```text
//!            found: continue                      push, push, … -> cut -> Encode -> Write
//!  Finding ------------------------> Filling  <--------------------------- (written: Commit; at most one at a time)
//!     ^ \                              ^
//!     |  \ found: redo      permit     | the record at end - 1
//!     |   +----------> Waiting ----> Redoing
//!     |
//!     +--- outdone: another's entry is in the ledger            any state --> Parked: a contradiction, told loudly
//! ```
//! The planner is told what happened and answers with [`Action`]s; the shell performs them in order. Whether a
//! partition may be read at all is here too: after [`Action::Pause`] nothing is taken until the shell has sought to the
//! offset of the next [`Action::Read`], so a record that was refused comes again.

mod open;
mod redo;
mod state;
mod writing;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use crate::action::{Action, Cause};
use crate::format::Format;
use crate::frontier::{Blocked, Found};
use crate::hint::Hint;
use crate::range::Source;
use crate::record::Record;
use crate::route::Router;
use open::Open;
use redo::Fixed;
use writing::Writing;

/// When a range is cut, and what is made of it.
#[derive(Debug, Clone, Copy)]
pub struct Cuts {
    /// At this size, in bytes as encoded.
    pub size: usize,
    /// When its first record has waited this long. Each range takes up to a tenth off, so that partitions do not all
    /// upload at once.
    pub age: Duration,
    /// The format of new ranges. One that is written again keeps its own.
    pub format: Format,
}

/// One assigned partition.
#[derive(Debug)]
pub struct Partition {
    source: Source,
    cuts: Cuts,
    state: State,
    /// Where the next range starts: where the one before it ended, so that the entries tile the partition.
    start: i64,
    /// The next offset to take.
    position: i64,
    flow: Flow,
    writing: Option<Writing>,
    /// Numbers the ranges: an encoder may give back one of before a restart.
    ranges: u64,
    /// The start of the last range whose objects are all written: what a commit names.
    completed: Option<i64>,
    draining: bool,
}

#[derive(Debug)]
enum State {
    Finding,
    Waiting(Fixed),
    Redoing { fixed: Fixed, router: Router, open: Option<Open> },
    Filling(Option<Open>),
    Parked,
}

/// Whether records are wanted, and if not, until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Reading,
    /// Until the range that is being written is written: then the one that is filling is cut, for this cause.
    Held(Cause),
    /// Until everything that was read is written: retention has passed the position, and the frontier has to be found
    /// again.
    Passed,
    /// Until memory is there again.
    Throttled,
    /// Until something else is known.
    Stopped,
}

impl Partition {
    /// A partition that was just assigned, and the first thing to do about it.
    #[must_use]
    pub fn assigned(source: Source, cuts: Cuts) -> (Self, Vec<Action>) {
        let partition = Self {
            source,
            cuts,
            state: State::Finding,
            start: 0,
            position: 0,
            flow: Flow::Stopped,
            writing: None,
            ranges: 0,
            completed: None,
            draining: false,
        };
        (partition, vec![Action::Pause, Action::Find])
    }

    /// Which partition this is.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    /// The frontier was found.
    pub fn found(&mut self, now: Instant, found: Found) -> Vec<Action> {
        if !matches!(self.state, State::Finding) || self.draining {
            return Vec::new();
        }
        match found {
            Found::Continue { from, reads, completed, committed, loss } => {
                self.completed = completed;
                self.state = State::Filling(None);
                self.start = from;
                let hint = completed.filter(|_| !committed).map(|ledger| Hint { committed: reads, ledger });
                let told = loss.map(Action::Lost).into_iter().chain(hint.map(Action::Commit));
                told.chain([self.read(reads)]).collect()
            }
            Found::Lost { from, to, loss } => {
                self.state = State::Filling(None);
                (self.start, self.position) = (to, to);
                let told = loss.map(Action::Lost).into_iter();
                told.chain([self.lose(from, to, now)]).collect()
            }
            Found::Redo { entry, from } => {
                self.position = from;
                self.state = State::Waiting(Fixed { entry, from });
                Vec::new()
            }
            Found::Blocked(reason) => self.park(reason),
        }
    }

    /// A record was delivered. It is taken unless the partition is not reading, or has had it.
    pub fn push(&mut self, record: &Record<'_>, now: Instant) -> Vec<Action> {
        if self.flow != Flow::Reading || record.offset < self.position {
            return Vec::new();
        }
        match &mut self.state {
            State::Filling(_) => self.fill(record, now),
            State::Redoing { .. } => self.reread(record, now),
            State::Finding | State::Waiting(_) | State::Parked => Vec::new(),
        }
    }

    fn fill(&mut self, record: &Record<'_>, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let State::Filling(open) = &mut self.state else { return actions };
        if open.as_ref().is_some_and(|open| !open.admits(record)) {
            if self.writing.is_some() {
                return self.stop(Flow::Held(Cause::Boundary));
            }
            actions.extend(self.cut(Cause::Boundary));
        }
        let State::Filling(open) = &mut self.state else { return actions };
        let open = Open::add(open, record, || {
            self.ranges += 1;
            let router = Router::new(self.source.kind, self.cuts.format);
            Open::begin(self.ranges, &self.source, router, self.start, record, now)
        });
        self.position = record.offset + 1;
        if open.is_full(self.cuts.size) {
            actions.extend(match self.writing {
                Some(_) => self.stop(Flow::Held(Cause::Size)),
                None => self.cut(Cause::Size),
            });
        } else {
            actions.extend(open.job().map(Action::Encode));
        }
        actions
    }

    /// When [`Partition::due`] has to be called, at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match (&self.state, &self.writing) {
            (State::Filling(Some(open)), None) => {
                Some(open.since() + jittered(self.cuts.age, &self.source, open.start()))
            }
            _ => None,
        }
    }

    /// Cuts the range that is filling if it is old enough.
    pub fn due(&mut self, now: Instant) -> Vec<Action> {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.cut(Cause::Age)
        } else {
            Vec::new()
        }
    }

    /// Cuts the range that is filling, if there is one and nothing is being written.
    pub fn cut(&mut self, cause: Cause) -> Vec<Action> {
        let State::Filling(open) = &mut self.state else { return Vec::new() };
        if self.writing.is_some() {
            return Vec::new();
        }
        let Some(open) = open.take() else { return Vec::new() };
        self.start = open.end();
        self.seal(open, cause, None)
    }

    /// Looks for the frontier again. What was read since is forgotten: it will be cut as the ledger says. What is
    /// being written may finish, and is then found there.
    pub fn restart(&mut self) -> Vec<Action> {
        if matches!(self.state, State::Parked) {
            return Vec::new();
        }
        self.state = State::Finding;
        self.writing = None;
        let mut actions = self.stop(Flow::Stopped);
        actions.push(Action::Find);
        actions
    }

    /// Retention has passed the position. What was read is written before the frontier is looked for again, or it would
    /// be listed as lost.
    pub fn passed(&mut self) -> Vec<Action> {
        if !matches!(self.state, State::Filling(_)) || self.draining {
            return self.restart();
        }
        let mut actions = self.stop(Flow::Passed);
        actions.extend(self.go_on());
        actions
    }

    /// Stops the partition: going on would contradict what is in the ledger.
    pub fn park(&mut self, reason: Blocked) -> Vec<Action> {
        self.state = State::Parked;
        self.writing = None;
        let mut actions = self.stop(Flow::Stopped);
        actions.push(Action::Parked(reason));
        actions
    }

    /// The process stops: read no more, and write what is there.
    pub fn drain(&mut self) -> Vec<Action> {
        self.draining = true;
        let mut actions = self.stop(Flow::Stopped);
        actions.extend(self.cut(Cause::Shutdown));
        actions
    }

    /// Memory is short: deliver no more for now. A redo is exempt, for others wait for it.
    pub fn throttle(&mut self) -> Vec<Action> {
        let filling = matches!(self.state, State::Filling(_));
        if filling && self.flow == Flow::Reading { self.stop(Flow::Throttled) } else { Vec::new() }
    }

    /// Memory is there again.
    pub fn unthrottle(&mut self) -> Vec<Action> {
        if self.flow == Flow::Throttled { vec![self.read(self.position)] } else { Vec::new() }
    }

    fn open(&mut self) -> Option<&mut Open> {
        match &mut self.state {
            State::Filling(open) | State::Redoing { open, .. } => open.as_mut(),
            State::Finding | State::Waiting(_) | State::Parked => None,
        }
    }

    fn read(&mut self, from: i64) -> Action {
        self.position = from;
        self.flow = Flow::Reading;
        Action::Read(from)
    }

    fn stop(&mut self, flow: Flow) -> Vec<Action> {
        self.flow = flow;
        vec![Action::Pause]
    }
}

/// `age`, less up to a tenth: by the range's name, so that it is the same wherever it is computed.
fn jittered(age: Duration, source: &Source, start: i64) -> Duration {
    let mut hasher = DefaultHasher::new();
    (source, start).hash(&mut hasher);
    let fraction = (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64;
    age.mul_f64(1.0 - fraction / 10.0)
}

#[cfg(test)]
mod tests;
