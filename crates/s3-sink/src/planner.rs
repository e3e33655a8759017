//! What one partition does next: a state machine that knows no Kafka, no S3 and no clock.
//!
//! ```text
//!            found: continue                      push, push, … -> cut -> Write
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

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use crate::action::{Action, Cause, Plan};
use crate::encode::Gzip;
use crate::frontier::{Blocked, Found};
use crate::hint::Hint;
use crate::ledger::{Content, Entry};
use crate::range::{Range, Sealed, Source};
use crate::record::Record;
use crate::route::Router;

/// When a range is cut.
#[derive(Debug, Clone, Copy)]
pub struct Cuts {
    /// At this size, in bytes as encoded.
    pub size: usize,
    /// When its first record has waited this long. Each range takes up to a tenth off, so that partitions do not all
    /// upload at once.
    pub age: Duration,
}

/// One assigned partition.
#[derive(Debug)]
pub struct Partition {
    source: Source,
    cuts: Cuts,
    state: State,
    /// The next offset to take.
    position: i64,
    flow: Flow,
    writing: Option<Writing>,
    /// The start of the last range whose objects are all written: what a commit names.
    completed: Option<i64>,
    draining: bool,
}

#[derive(Debug)]
enum State {
    Finding,
    Waiting(Entry),
    Redoing { entry: Entry, router: Router, open: Option<Open> },
    Filling(Option<Open>),
    Parked,
}

/// Whether records are wanted, and if not, until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Reading,
    /// Until the range that is being written is written: then the one that is filling is cut, for this cause.
    Held(Cause),
    /// Until memory is there again.
    Throttled,
    /// Until something else is known.
    Stopped,
}

#[derive(Debug)]
struct Open {
    range: Range,
    /// When its first record came.
    since: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Writing {
    start: i64,
    end: i64,
    cause: Cause,
    since: Instant,
}

impl Writing {
    /// Whether it is the range `[start, end)`. The start alone does not tell: cut again, a range may end elsewhere.
    const fn is(self, start: i64, end: i64) -> bool {
        self.start == start && self.end == end
    }
}

impl Partition {
    /// A partition that was just assigned, and the first thing to do about it.
    #[must_use]
    pub fn assigned(source: Source, cuts: Cuts) -> (Self, Vec<Action>) {
        let partition = Self {
            source,
            cuts,
            state: State::Finding,
            position: 0,
            flow: Flow::Stopped,
            writing: None,
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
    pub fn found(&mut self, found: Found) -> Vec<Action> {
        if !matches!(self.state, State::Finding) || self.draining {
            return Vec::new();
        }
        match found {
            Found::Continue { from, completed, committed } => {
                self.completed = completed;
                self.state = State::Filling(None);
                let hint = completed.filter(|_| !committed).map(|ledger| Hint { committed: from, ledger });
                hint.map(Action::Commit).into_iter().chain([self.read(from)]).collect()
            }
            Found::Redo { entry, from } => {
                self.position = from;
                self.state = State::Waiting(entry);
                Vec::new()
            }
            Found::Blocked(reason) => self.park(reason),
        }
    }

    /// Whether it waits for [`Partition::permit`] to write a range again.
    #[must_use]
    pub const fn wants_redo(&self) -> bool {
        matches!(self.state, State::Waiting(_)) && !self.draining
    }

    /// It may read the range that it has to write again.
    pub fn permit(&mut self) -> Vec<Action> {
        let State::Waiting(entry) = &self.state else { return Vec::new() };
        let Content::Written(written) = &entry.content else { return Vec::new() };
        match Router::by(self.source.kind, &written.recipe) {
            Ok(router) => {
                self.state = State::Redoing { entry: entry.clone(), router, open: None };
                vec![self.read(self.position)]
            }
            Err(unknown) => self.park(Blocked::UnknownRecipe { key: entry.key(), unknown }),
        }
    }

    /// A record was delivered. It is taken unless the partition is not reading, or has had it.
    pub fn push(&mut self, record: &Record<'_>, now: Instant, gzip: &mut Gzip) -> Vec<Action> {
        if self.flow != Flow::Reading || record.offset < self.position {
            return Vec::new();
        }
        match &mut self.state {
            State::Filling(_) => self.fill(record, now, gzip),
            State::Redoing { entry, router, open } => {
                match open {
                    Some(open) => open.range.push(record, gzip),
                    None => {
                        let Content::Written(written) = &entry.content else { return Vec::new() };
                        let recipe = written.recipe.clone();
                        let range = Range::begin(&self.source, recipe, *router, entry.start, record, gzip);
                        *open = Some(Open { range, since: now });
                    }
                }
                self.position = record.offset + 1;
                // A record beyond the end means that the last one is gone from the log: then they will not match.
                if self.position >= entry.end { self.redone(gzip) } else { Vec::new() }
            }
            State::Finding | State::Waiting(_) | State::Parked => Vec::new(),
        }
    }

    fn fill(&mut self, record: &Record<'_>, now: Instant, gzip: &mut Gzip) -> Vec<Action> {
        let mut actions = Vec::new();
        let State::Filling(open) = &mut self.state else { return actions };
        if open.as_ref().is_some_and(|open| !open.range.admits(record)) {
            if self.writing.is_some() {
                return self.stop(Flow::Held(Cause::Boundary));
            }
            actions.extend(self.cut(Cause::Boundary, gzip));
        }
        let State::Filling(open) = &mut self.state else { return actions };
        let size = match open {
            Some(open) => {
                open.range.push(record, gzip);
                open.range.size()
            }
            None => {
                let router = Router::new(self.source.kind);
                // A range starts where the one before it ended, so that the entries tile the partition; `position`
                // is that end whenever none is open.
                let (start, recipe) = (self.position, Router::recipe());
                let range = Range::begin(&self.source, recipe, router, start, record, gzip);
                let size = range.size();
                *open = Some(Open { range, since: now });
                size
            }
        };
        self.position = record.offset + 1;
        if size >= self.cuts.size {
            actions.extend(match self.writing {
                Some(_) => self.stop(Flow::Held(Cause::Size)),
                None => self.cut(Cause::Size, gzip),
            });
        }
        actions
    }

    /// When [`Partition::due`] has to be called, at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match (&self.state, self.writing) {
            (State::Filling(Some(open)), None) => {
                Some(open.since + jittered(self.cuts.age, &self.source, open.range.start()))
            }
            _ => None,
        }
    }

    /// Cuts the range that is filling if it is old enough.
    pub fn due(&mut self, now: Instant, gzip: &mut Gzip) -> Vec<Action> {
        if self.next_deadline().is_some_and(|deadline| deadline <= now) {
            self.cut(Cause::Age, gzip)
        } else {
            Vec::new()
        }
    }

    /// Cuts the range that is filling, if there is one and nothing is being written.
    pub fn cut(&mut self, cause: Cause, gzip: &mut Gzip) -> Vec<Action> {
        let State::Filling(open) = &mut self.state else { return Vec::new() };
        if self.writing.is_some() {
            return Vec::new();
        }
        let Some(Open { range, since }) = open.take() else { return Vec::new() };
        vec![self.write(range.seal(gzip), since, cause)]
    }

    /// All objects of the range `[start, end)` are there, whoever wrote them. The answer may be that of a write from
    /// before a restart: of the range that is being written it speaks only if it ends there too. If another end has
    /// won, the ledger will say so to the write that is on its way, and that one is outdone.
    pub fn written(&mut self, start: i64, end: i64, gzip: &mut Gzip) -> Vec<Action> {
        if self.writing.take_if(|writing| writing.is(start, end)).is_none() {
            return Vec::new();
        }
        self.completed = Some(start);
        let mut actions = vec![Action::Commit(Hint { committed: end, ledger: start })];
        if self.draining {
            actions.extend(self.cut(Cause::Shutdown, gzip));
        } else if let Flow::Held(cause) = self.flow {
            actions.extend(self.cut(cause, gzip));
            actions.push(self.read(self.position));
        }
        actions
    }

    /// The ledger holds another entry where the range `[start, end)` was to begin.
    pub fn outdone(&mut self, start: i64, end: i64) -> Vec<Action> {
        if self.writing.is_some_and(|writing| writing.is(start, end)) { self.restart() } else { Vec::new() }
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

    /// Stops the partition: going on would contradict what is in the ledger.
    pub fn park(&mut self, reason: Blocked) -> Vec<Action> {
        self.state = State::Parked;
        self.writing = None;
        let mut actions = self.stop(Flow::Stopped);
        actions.push(Action::Parked(reason));
        actions
    }

    /// The process stops: read no more, and write what is there.
    pub fn drain(&mut self, gzip: &mut Gzip) -> Vec<Action> {
        self.draining = true;
        let mut actions = self.stop(Flow::Stopped);
        actions.extend(self.cut(Cause::Shutdown, gzip));
        actions
    }

    /// Whether a drain has nothing left to write. A range to be written *again* is left to the next owner.
    #[must_use]
    pub const fn drained(&self) -> bool {
        self.writing.is_none() && !matches!(self.state, State::Filling(Some(_)))
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

    /// What may be committed while nothing waits to be written: the end of the last range, or `position` if the log was
    /// read up to there, for nothing but control records lies in between.
    #[must_use]
    pub fn idle_at(&self, position: Option<i64>) -> Option<Hint> {
        let idle = matches!(self.state, State::Filling(None))
            && self.writing.is_none()
            && self.flow == Flow::Reading;
        let ledger = self.completed.filter(|_| idle)?;
        let committed = position.map_or(self.position, |position| position.max(self.position));
        Some(Hint { committed, ledger })
    }

    /// Memory of the range that is being read, in bytes.
    #[must_use]
    pub fn filling(&self) -> usize {
        match &self.state {
            State::Filling(Some(open)) | State::Redoing { open: Some(open), .. } => open.range.memory(),
            _ => 0,
        }
    }

    /// When the oldest record came that was read and is not written.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        let filling = match &self.state {
            State::Filling(Some(open)) | State::Redoing { open: Some(open), .. } => Some(open.since),
            _ => None,
        };
        self.writing.map(|writing| writing.since).or(filling)
    }

    /// Bytes of memory that [`Partition::cut`] would send on their way.
    #[must_use]
    pub fn cuttable(&self) -> usize {
        match (&self.state, self.writing) {
            (State::Filling(Some(open)), None) => open.range.memory(),
            _ => 0,
        }
    }

    /// Whether it is assigned but not delivered.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.flow != Flow::Reading
    }

    /// Whether it uses the permit that it was given.
    #[must_use]
    pub fn redoing(&self) -> bool {
        matches!(self.state, State::Redoing { .. })
            || self.writing.is_some_and(|writing| writing.cause == Cause::Redo)
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

    fn write(&mut self, sealed: Sealed, since: Instant, cause: Cause) -> Action {
        self.writing = Some(Writing { start: sealed.entry.start, end: sealed.entry.end, cause, since });
        Action::Write(Plan { sealed, cause })
    }

    /// The range to be written again was read. What comes after it is read on at once.
    fn redone(&mut self, gzip: &mut Gzip) -> Vec<Action> {
        let State::Redoing { entry, open, .. } = std::mem::replace(&mut self.state, State::Filling(None))
        else {
            return Vec::new();
        };
        self.position = entry.end;
        match open.map(|open| (open.range.seal(gzip), open.since)) {
            Some((sealed, since)) if sealed.entry.agrees(&entry) => {
                vec![self.write(sealed, since, Cause::Redo)]
            }
            _ => self.park(Blocked::Unrepeatable { key: entry.key() }),
        }
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
#[path = "planner_tests.rs"]
mod tests;
