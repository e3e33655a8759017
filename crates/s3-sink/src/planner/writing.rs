//! The range that was cut: encoded to its end, written, and committed.

use std::time::Instant;

use super::open::Open;
use super::redo::Fixed;
use super::{Flow, Partition};
use crate::action::{Action, Cause, Encoded, Loss, Plan, Progress};
use crate::frontier::Blocked;
use crate::hint::Hint;
use crate::ledger::{Content, Entry};
use crate::range::{Sealed, Source};

/// A range that was cut: its last records are encoded, then it is written.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) id: u64,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) cause: Cause,
    pub(super) since: Instant,
    /// Until its last records are with an encoder.
    pub(super) open: Option<Open>,
    /// What it has to be, if the ledger says so already.
    pub(super) fixed: Option<Fixed>,
    /// The bytes of memory it holds until it is handed out to be written.
    pub(super) memory: usize,
}

impl Writing {
    /// Whether it is the range `[start, end)`. The start alone does not tell: cut again, a range may end elsewhere.
    const fn is(&self, start: i64, end: i64) -> bool {
        self.start == start && self.end == end
    }
}

impl Partition {
    /// An encoder has done its job, or some job of before a restart.
    pub fn encoded(&mut self, Encoded { id, what, batch }: Encoded) -> Vec<Action> {
        let is_cut = self.writing.as_ref().is_some_and(|writing| writing.id == id);
        let open = self.open().filter(|open| open.id() == id);
        if !is_cut && open.is_none() {
            return Vec::new();
        }
        match (what, open) {
            (Err(error), _) => self.park(Blocked::Unencodable(error)),
            (Ok(Progress::Sealed(sealed)), _) => self.sealed(sealed),
            (Ok(Progress::Grown(range)), Some(open)) => {
                open.came_back(range, batch);
                open.job().map(Action::Encode).into_iter().collect()
            }
            (Ok(Progress::Grown(range)), None) => {
                if let Some(open) = self.writing.as_mut().and_then(|writing| writing.open.as_mut()) {
                    open.came_back(range, batch);
                }
                self.hand_over_last()
            }
        }
    }

    /// All objects of the range `[start, end)` are there, whoever wrote them. The answer may be that of a write from
    /// before a restart: of the range that is being written it speaks only if it ends there too. If another end has
    /// won, the ledger will say so to the write that is on its way, and that one is outdone.
    pub fn written(&mut self, start: i64, end: i64) -> Vec<Action> {
        let Some(written) = self.writing.take_if(|writing| writing.is(start, end)) else { return Vec::new() };
        self.completed = Some(start);
        let mut actions = Vec::new();
        if written.cause == Cause::Lost {
            actions.push(Action::Lost(Loss::Unread { from: start, to: end }));
        }
        actions.push(Action::Commit(Hint { committed: end, ledger: start }));
        if written.cause == Cause::Lost && !self.draining {
            actions.push(self.read(self.position));
        }
        actions.extend(self.go_on());
        actions
    }

    /// The ledger holds another entry where the range `[start, end)` was to begin.
    pub fn outdone(&mut self, start: i64, end: i64) -> Vec<Action> {
        if self.writing.as_ref().is_some_and(|writing| writing.is(start, end)) {
            self.restart()
        } else {
            Vec::new()
        }
    }

    /// What waits until nothing is being written goes on.
    pub(super) fn go_on(&mut self) -> Vec<Action> {
        if self.writing.is_some() {
            return Vec::new();
        }
        if self.draining {
            return self.cut(Cause::Shutdown);
        }
        match self.flow {
            Flow::Held(cause) => {
                let mut actions = self.cut(cause);
                actions.push(self.read(self.position));
                actions
            }
            Flow::Passed => {
                let actions = self.cut(Cause::Passed);
                if self.writing.is_some() { actions } else { self.restart() }
            }
            Flow::Reading | Flow::Throttled | Flow::Stopped => Vec::new(),
        }
    }

    pub(super) fn seal(&mut self, open: Open, cause: Cause, fixed: Option<Fixed>) -> Vec<Action> {
        self.writing = Some(Writing {
            id: open.id(),
            start: open.start(),
            end: open.end(),
            cause,
            since: open.since(),
            memory: open.memory(),
            open: Some(open),
            fixed,
        });
        self.hand_over_last()
    }

    fn hand_over_last(&mut self) -> Vec<Action> {
        let Some(writing) = &mut self.writing else { return Vec::new() };
        let job = writing.open.as_mut().and_then(Open::last_job);
        if job.is_some() {
            writing.open = None;
        }
        job.map(Action::Encode).into_iter().collect()
    }

    /// The range that was cut is whole.
    fn sealed(&mut self, sealed: Sealed) -> Vec<Action> {
        let Some(writing) = &mut self.writing else { return Vec::new() };
        writing.memory = 0;
        match writing.fixed.take() {
            Some(fixed) if !sealed.entry.agrees(&fixed.entry) => self.unrepeatable(&fixed),
            _ => vec![Action::Write(Plan { sealed, cause: writing.cause })],
        }
    }

    /// Lists `[from, to)` as lost, before anything else is written.
    pub(super) fn lose(&mut self, from: i64, to: i64, now: Instant) -> Action {
        self.ranges += 1;
        self.writing = Some(Writing {
            id: self.ranges,
            start: from,
            end: to,
            cause: Cause::Lost,
            since: now,
            open: None,
            fixed: None,
            memory: 0,
        });
        let Source { topic, partition, .. } = self.source.clone();
        let entry = Entry { topic, partition, start: from, end: to, content: Content::Lost };
        Action::Write(Plan { sealed: Sealed { entry, bodies: Vec::new() }, cause: Cause::Lost })
    }
}
