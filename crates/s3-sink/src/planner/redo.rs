//! Writing a range again that the ledger has fixed and whose owner died before all its objects were there: exactly its
//! records, by its own recipe.

use std::time::Instant;

use super::open::Open;
use super::{Partition, State};
use crate::action::{Action, Cause, Loss};
use crate::frontier::Blocked;
use crate::ledger::{Content, Entry};
use crate::record::Record;
use crate::route::Router;

/// A range that the ledger has fixed, to be written again.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) entry: Entry,
    /// Where it is read from: its start, or where the log starts by now.
    pub(super) from: i64,
}

impl Partition {
    /// Whether it waits for [`Partition::permit`] to write a range again.
    #[must_use]
    pub const fn wants_redo(&self) -> bool {
        matches!(self.state, State::Waiting(_)) && !self.draining
    }

    /// It may read the range that it has to write again.
    pub fn permit(&mut self) -> Vec<Action> {
        let fixed = match std::mem::replace(&mut self.state, State::Finding) {
            State::Waiting(fixed) => fixed,
            other => {
                self.state = other;
                return Vec::new();
            }
        };
        let Content::Written(written) = &fixed.entry.content else { return Vec::new() };
        match Router::by(self.source.kind, &written.recipe) {
            Ok(router) => {
                self.state = State::Redoing { fixed, router, open: None };
                vec![self.read(self.position)]
            }
            Err(unknown) => self.park(Blocked::UnknownRecipe { key: fixed.entry.key(), unknown }),
        }
    }

    /// The next record of the range, or the first beyond it.
    pub(super) fn reread(&mut self, record: &Record<'_>, now: Instant) -> Vec<Action> {
        let State::Redoing { fixed, router, open } = &mut self.state else { return Vec::new() };
        let end = fixed.entry.end;
        // A record beyond the end means that the last one is gone from the log: then they will not match.
        if record.offset >= end {
            let mut actions = self.whole();
            actions.extend(self.push(record, now));
            return actions;
        }
        let open = Open::add(open, record, || {
            self.ranges += 1;
            Open::begin(self.ranges, &self.source, *router, fixed.entry.start, record, now)
        });
        self.position = record.offset + 1;
        if self.position >= end { self.whole() } else { open.job().map(Action::Encode).into_iter().collect() }
    }

    /// The range to be written again was read. What comes after it is read on at once.
    fn whole(&mut self) -> Vec<Action> {
        let State::Redoing { fixed, open, .. } = std::mem::replace(&mut self.state, State::Filling(None))
        else {
            return Vec::new();
        };
        (self.start, self.position) = (fixed.entry.end, fixed.entry.end);
        match open {
            Some(open) if open.end() == fixed.entry.end => self.seal(open, Cause::Redo, Some(fixed)),
            _ => self.unrepeatable(&fixed),
        }
    }

    /// What was read again is not what the ledger says. Where the log has lost the beginning of the range, that is why,
    /// and nobody will ever write it; anything else is a contradiction.
    pub(super) fn unrepeatable(&mut self, fixed: &Fixed) -> Vec<Action> {
        let Fixed { entry, from } = fixed;
        if *from == entry.start {
            return self.park(Blocked::Unrepeatable { key: entry.key() });
        }
        self.writing = None;
        self.completed = Some(entry.start);
        let mut actions = vec![Action::Lost(Loss::unfinished(entry))];
        actions.extend(self.go_on());
        actions
    }
}
