//! Stream time, closing, lateness and the resume point of one partition.

mod invariants;

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use model::{EpochMillis, EpochSeconds, PageviewAggregate, Postcode, Reason, Window};

use super::event::Event;
use super::fate::{Fate, Place, WindowState};
use super::flush::Flush;
use super::guard::Guard;
use super::open::{Mark, OpenWindows};
use super::valve::{Ids, Memory};
use crate::resume_point::ResumePoint;

/// How long things may take; from configuration, and free to change between restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How far behind stream time a window's end must lie for it to close.
    pub grace: Duration,
    /// How long stream time must stand still for the wall clock to close windows.
    pub idle_timeout: Duration,
    /// How far an event may be ahead of its own ingestion.
    pub max_future_skew: Duration,
    /// How far the record that a restore would start at may lie behind, in record time.
    pub max_open: Duration,
}

/// The offsets `[start, end)` that a partition's log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The first offset that is still there.
    pub start: i64,
    /// The next offset to be written.
    pub end: i64,
}

/// What a restore found.
#[derive(Debug)]
pub struct Restored {
    /// The state, to be fed with the records from [`PartitionWindows::position`] on.
    pub windows: PartitionWindows,
    /// How many offsets were needed that the log no longer has: retention has passed us by.
    pub missed: u64,
    /// How many offsets were read once that the log no longer has at its end: the topic was recreated, or lost
    /// records in an unclean leader election.
    pub truncated: u64,
}

/// The windows of one partition, and all that must be known to resume them.
#[derive(Debug)]
pub struct PartitionWindows {
    limits: Limits,
    guard: Guard,
    /// The next offset to read.
    position: i64,
    /// The restored `next`: below it, only the committed `closed` decides.
    next: i64,
    /// Records below have their counts in the output, if their windows are open.
    flushed: i64,
    /// Events that were counted as open when `next` was committed, and are still to be read again.
    owed: u64,
    /// The timestamp of the last record read.
    last_timestamp: Option<EpochMillis>,
    closed: Option<EpochSeconds>,
    time: Option<EpochMillis>,
    open: OpenWindows,
    rows: Vec<PageviewAggregate>,
    late: HashMap<(Window, Postcode), u64, RandomState>,
    dead_letters: u64,
    repeated: u64,
    /// Of a partition's whole life, as committed.
    repeats: u64,
    dead: u64,
    partial: u64,
    /// The offset or `next` moved in a way that is committed even without output. They may have moved to what the log
    /// still holds: before new records lie where others were, and so that a loss is not told again where no open window
    /// needs what is gone. Or no open window needs any more what it needed.
    moved: bool,
    /// Stream time as [`Self::is_idle`] saw it, and since when.
    standstill: Option<(Option<EpochMillis>, EpochMillis)>,
}

impl PartitionWindows {
    /// The state of a partition whose committed offset is `offset`, with `point` in its metadata.
    ///
    /// | log | then |
    /// | --- | --- |
    /// | starts above `offset` | read on from its start, report how many were missed |
    /// | ends below `next` | `next` (and the position) is its end, report how many were lost |
    #[must_use]
    pub fn restore(offset: i64, point: ResumePoint, log: LogBounds, limits: Limits) -> Restored {
        let missed = log.start.saturating_sub(offset).max(0);
        let truncated = point.next.saturating_sub(log.end).max(0);
        let next = point.next.max(offset).min(log.end);
        let mut windows = Self {
            limits,
            guard: point.guard.adopt(limits.max_future_skew, offset, next),
            position: offset.max(log.start).min(log.end),
            next,
            flushed: point.flushed.min(next),
            owed: point.open,
            last_timestamp: None,
            closed: point.closed,
            time: point.time,
            open: OpenWindows::default(),
            rows: Vec::new(),
            late: HashMap::default(),
            dead_letters: 0,
            repeated: 0,
            repeats: point.repeats,
            dead: point.dead,
            partial: point.partial,
            moved: truncated > 0 || missed > 0,
            standstill: None,
        };
        windows.close_if_caught_up();
        Restored { windows, missed: missed.unsigned_abs(), truncated: truncated.unsigned_abs() }
    }

    /// Takes in the record at `offset`, at [`Self::position`] or above: what it says, or why it says nothing.
    /// For [`Fate::DeadLetter`] the caller keeps the record, to be written with the next flush.
    pub fn push(&mut self, offset: i64, record_timestamp: EpochMillis, event: Result<Event, Reason>) -> Fate {
        debug_assert!(offset >= self.position, "offset {offset} was read before: {self:?}");
        self.last_timestamp = Some(record_timestamp);
        let place = self.place(offset);
        let fate = match event {
            Err(reason) => Fate::of(place, Err(reason)),
            Ok(event) if self.guard.refuses(offset, event.time, record_timestamp) => {
                Fate::of(place, Err(Reason::TimestampInFuture))
            }
            Ok(event) => self.take_in(place, Mark { offset, timestamp: record_timestamp }, &event),
        };
        if let Fate::DeadLetter(_) = fate {
            self.dead_letters += 1;
        }
        self.skip_to(offset + 1);
        fate
    }

    fn take_in(&mut self, place: Place, mark: Mark, event: &Event) -> Fate {
        if place == Place::Fresh {
            self.advance(mark.timestamp.min(event.time.to_millis()));
        }
        let window = Window::containing(event.time);
        let fate = Fate::of(place, Ok(self.state_of(window)));
        match fate {
            Fate::Count => {
                let counted = self.open.count(window, event, mark);
                self.keep_account(place, counted);
                if !counted {
                    return Fate::Repeat;
                }
            }
            Fate::RebuildIds => self.open.rebuild(window, event, mark),
            Fate::Late => *self.late.entry((window, event.postcode)).or_default() += 1,
            Fate::Repeat | Fate::Skip | Fate::DeadLetter(_) => {}
        }
        fate
    }

    /// Every record below the committed `next` is in the output, open, or a repeat, at any moment. What is read again has
    /// been accounted for; but a repeat whose identity the valve has dropped meanwhile is counted now, and no repeat any
    /// more.
    fn keep_account(&mut self, place: Place, counted: bool) {
        match (place, counted) {
            (Place::Fresh, true) | (Place::BelowFlushed | Place::BelowNext, false) => {}
            (Place::Fresh, false) => self.repeated += 1,
            (Place::BelowFlushed | Place::BelowNext, true) if self.owed > 0 => self.owed -= 1,
            (Place::BelowFlushed | Place::BelowNext, true) => self.repeats = self.repeats.saturating_sub(1),
        }
    }

    /// The consumer has come to `position` without a record: control records have offsets, too.
    pub fn skip_to(&mut self, position: i64) {
        let replaying = self.is_replaying();
        self.position = self.position.max(position);
        if replaying {
            self.close_if_caught_up();
        }
    }

    /// The position is not in the `log` any more. Where retention has passed it by, reading goes on from the log's start
    /// with all that is counted, and the number of offsets lost is returned; `None` where the log has lost its end
    /// instead: then what was read may not be there, and the partition must be restored.
    pub fn pass_over(&mut self, log: LogBounds) -> Option<u64> {
        if log.start <= self.position {
            return None;
        }
        let missed = log.start.abs_diff(self.position);
        self.moved = true;
        self.skip_to(log.start);
        Some(missed)
    }

    /// Whether stream time has stood still for the idle timeout while a window waits that the wall clock would close.
    /// It is the *time* that must move: a trickle of old events does not pin a window open. Call it now and then;
    /// if true, and the position has reached the log's end, [`Self::close_idle`] is due.
    pub fn is_idle(&mut self, now: EpochMillis) -> bool {
        let since = match self.standstill {
            Some((time, since)) if time == self.time => since,
            _ => now,
        };
        self.standstill = Some((self.time, since));
        let due = |end: EpochSeconds| end.to_millis().plus(self.limits.grace) <= now;
        now.since(since) >= self.limits.idle_timeout && self.open.lowest_end().is_some_and(due)
    }

    /// Closes the windows whose end and grace have passed on the wall clock, and no others: a later event of a window
    /// that is still to come must not be late.
    pub fn close_idle(&mut self, now: EpochMillis) {
        if self.is_replaying() {
            return;
        }
        let limit = now.minus(self.limits.grace).to_seconds();
        if let Some(end) = self.open.highest_end_through(limit) {
            self.close_through(end);
        }
    }

    /// The memory valve: counts of open windows go into the next flush as partial rows, and start anew. Where no identity
    /// must be read again, a restore need not go back to what was counted so far. Returns how many identities were
    /// dropped.
    pub fn relieve(&mut self, ids: Ids) -> usize {
        let before = self.open.ids();
        self.partial += self.open.keys() as u64;
        self.open.drain(ids, &mut self.rows);
        // A replay that has not come that far yet must not count again what was let out before.
        self.flushed = self.flushed.max(self.position);
        self.moved = true;
        before - self.open.ids()
    }

    /// Whether the record that a restore would start at lies further behind the last one than it may: then
    /// [`Self::relieve`] of the identities, too, is due.
    #[must_use]
    pub fn is_open_too_long(&self) -> bool {
        let behind = |first: Mark| self.last_timestamp.map(|last| last.since(first.timestamp));
        self.open.first_needed().and_then(behind).is_some_and(|behind| behind > self.limits.max_open)
    }

    /// What the open windows take.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.open.memory()
    }

    /// Whether there is anything to flush. Progress alone is not worth a transaction: while only open windows grow,
    /// the offset to commit stays where it is.
    #[must_use]
    pub fn wants_flush(&self) -> bool {
        self.has_output() || self.moved
    }

    fn has_output(&self) -> bool {
        !self.rows.is_empty() || !self.late.is_empty() || self.dead_letters > 0
    }

    /// How many rows wait for the next flush.
    #[must_use]
    pub fn pending_rows(&self) -> usize {
        self.rows.len() + self.late.len()
    }

    /// Takes everything due for the output, and what is to be committed with it. The state goes on as if that were
    /// committed: when it turns out not to be, drop the state and restore it.
    pub fn take_flush(&mut self) -> Flush {
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
        self.dead += std::mem::take(&mut self.dead_letters);
        self.repeats += self.repeated;
        self.moved = false;
        let late = self.late.drain().map(|((window_start, postcode), pageview_count)| PageviewAggregate {
            postcode,
            window_start,
            pageview_count,
        });
        // Committing the position would let `next` fall during a replay, and the records in between come out twice.
        let next = self.position.max(self.next);
        let offset = self.open.first_needed().map_or(self.position, |first| first.offset);
        if self.flushed <= offset {
            self.flushed = 0;
        }
        self.guard = self.guard.needed_from(offset);
        Flush {
            late: late.collect(),
            rows: std::mem::take(&mut self.rows),
            repeats: std::mem::take(&mut self.repeated),
            offset,
            resume_point: ResumePoint {
                next,
                closed: self.closed,
                time: self.time,
                flushed: self.flushed,
                open: self.open.events() + self.owed,
                repeats: self.repeats,
                dead: self.dead,
                partial: self.partial,
                guard: self.guard,
            },
        }
    }

    /// The next offset to read.
    #[must_use]
    pub const fn position(&self) -> i64 {
        self.position
    }

    /// Whether it still reads records that were read before.
    #[must_use]
    pub const fn is_replaying(&self) -> bool {
        self.position < self.next
    }

    /// Stream time, once an event has set it.
    #[must_use]
    pub const fn stream_time(&self) -> Option<EpochMillis> {
        self.time
    }

    /// How far an event of a new record may be ahead: a change waits while records are replayed that two earlier
    /// settings decided about.
    #[must_use]
    pub const fn max_future_skew(&self) -> Duration {
        self.guard.skew
    }

    /// How many windows are open.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.open.len()
    }

    /// How many counts they hold.
    #[must_use]
    pub const fn open_keys(&self) -> usize {
        self.open.keys()
    }

    const fn place(&self, offset: i64) -> Place {
        if offset >= self.next {
            Place::Fresh
        } else if offset < self.flushed {
            Place::BelowFlushed
        } else {
            Place::BelowNext
        }
    }

    fn state_of(&self, window: Window) -> WindowState {
        if Some(window.end()) <= self.closed { WindowState::Closed } else { WindowState::Open }
    }

    fn advance(&mut self, time: EpochMillis) {
        if Some(time) > self.time {
            self.time = Some(time);
            self.close_by_stream_time();
        }
    }

    /// From here on stream time and the current grace decide, so a grace that changed loses nothing.
    fn close_if_caught_up(&mut self) {
        if !self.is_replaying() {
            // What is not there to be read again, the log has lost: no audit must take it for open.
            self.moved |= std::mem::take(&mut self.owed) > 0;
            self.close_by_stream_time();
        }
    }

    fn close_by_stream_time(&mut self) {
        if let Some(time) = self.time {
            let closed = Window::containing(time.minus(self.limits.grace).to_seconds()).start();
            self.close_through(closed);
        }
    }

    /// `closed` never falls.
    fn close_through(&mut self, end: EpochSeconds) {
        if Some(end) > self.closed {
            self.closed = Some(end);
            // A window may have nothing but identities left, and pins the offset all the same.
            self.moved |= self.open.close_through(end, &mut self.rows);
        }
    }
}
