//! Counts again, from the events themselves: for every minute of every postcode how many events there are, how many of
//! them are different, and how many were counted.

use std::collections::{HashMap, HashSet};
use std::mem::size_of;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aggregator::resume_point::ResumePoint;
use aggregator::windows::Identities;
use foldhash::fast::RandomState;
use model::{Pageview, PageviewAggregate, Postcode, Window, dead_letter};
use s3_sink::decode::Decoded;

use crate::span::Span;

/// So many events are added at a time: one lock for all of them.
const BATCH: usize = 4096;

/// A minute of a postcode.
pub(crate) type Minute = (Window, Postcode);

/// What is known of one minute of a postcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Its events in `raw/`.
    pub(crate) events: u64,
    /// Those that are no retries of another one.
    pub(crate) distinct: u64,
    /// The sum of its rows.
    pub(crate) counted: u64,
    /// The sum of those rows that were written before the end of the span: their events were, too.
    pub(crate) counted_within: u64,
    /// Whether an event of it waits to be counted.
    pub(crate) is_open: bool,
}

/// All minutes of a span. Memory grows with their number, and with that of the ids of events.
#[derive(Debug, Default)]
pub(crate) struct Minutes {
    pub(crate) tallies: HashMap<Minute, Tally, RandomState>,
    /// 64 of the 128 bits by which the aggregator knows a retry: two events with the same make the lower bound of a count
    /// lower by one, and never a finding.
    ids: HashSet<u64, RandomState>,
    /// Events that are no pageviews.
    pub(crate) malformed: u64,
    /// Events that are in the dead letters.
    pub(crate) dead: u64,
}

/// An event that counts in a minute.
#[derive(Debug, Clone, Copy)]
struct Seen {
    minute: Minute,
    id: Option<u64>,
    is_open: bool,
}

/// Reads the events of one object. Several work on the same [`Minutes`] at a time.
pub(crate) struct Events<'a> {
    minutes: &'a Mutex<Minutes>,
    rules: &'a Rules,
    partition: i32,
    batch: Vec<Seen>,
    malformed: u64,
    dead: u64,
}

/// What decides about an event, besides itself.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) span: Span,
    pub(crate) identities: Identities,
    /// How far the aggregator has come in each partition, where that is known.
    pub(crate) points: HashMap<i32, ResumePoint>,
    /// The partitions and offsets of the events in the dead letters.
    pub(crate) dead: HashSet<(i32, i64), RandomState>,
}

impl Rules {
    /// Whether an event has not been counted yet: nobody has read it, or its window is open.
    fn is_open(&self, partition: i32, offset: i64, window: Window) -> bool {
        let Some(point) = self.points.get(&partition) else { return true };
        offset >= point.next || Some(window.end()) > point.closed
    }
}

impl<'a> Events<'a> {
    pub(crate) const fn new(minutes: &'a Mutex<Minutes>, rules: &'a Rules, partition: i32) -> Self {
        Self { minutes, rules, partition, batch: Vec::new(), malformed: 0, dead: 0 }
    }

    /// Adds the event at `offset`, or somewhere below `end` where that is not known.
    pub(crate) fn add(&mut self, offset: Option<i64>, end: i64, value: &[u8]) {
        let Ok(pageview) = Pageview::parse(value) else {
            self.malformed += 1;
            return;
        };
        if offset.is_some_and(|offset| self.rules.dead.contains(&(self.partition, offset))) {
            self.dead += 1;
            return;
        }
        let window = pageview.window();
        if !self.rules.span.covers(window) {
            return;
        }
        let identity = self.rules.identities.event(&pageview).identity;
        // The aggregator knows the events of one partition only.
        let salt = u64::from(self.partition.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.batch.push(Seen {
            minute: (window, pageview.postcode),
            id: identity.map(|identity| identity.0 as u64 ^ salt),
            is_open: self.rules.is_open(self.partition, offset.unwrap_or(end - 1), window),
        });
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut minutes = lock(self.minutes);
        self.batch.drain(..).for_each(|seen| minutes.add_event(seen));
        minutes.malformed += std::mem::take(&mut self.malformed);
        minutes.dead += std::mem::take(&mut self.dead);
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What another thread left when it panicked is as good as what it would have added: a sum of events.
pub(crate) fn lock(minutes: &Mutex<Minutes>) -> MutexGuard<'_, Minutes> {
    minutes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Minutes {
    fn add_event(&mut self, Seen { minute, id, is_open }: Seen) {
        let is_new = id.is_none_or(|id| self.ids.insert(id));
        let tally = self.tallies.entry(minute).or_default();
        tally.events += 1;
        tally.distinct += u64::from(is_new);
        tally.is_open |= is_open;
    }

    /// Adds a row, of a range that was written before the end of the span or not.
    pub(crate) fn add_row(&mut self, row: &PageviewAggregate, is_within: bool) {
        let tally = self.tallies.entry((row.window_start, row.postcode)).or_default();
        tally.counted += row.pageview_count;
        if is_within {
            tally.counted_within += row.pageview_count;
        }
    }

    /// How many ids there are.
    pub(crate) fn ids(&self) -> usize {
        self.ids.len()
    }

    /// The bytes that it takes.
    pub(crate) fn memory(&self) -> usize {
        // One byte of a hash table's own for each slot.
        let slots = |capacity: usize, size: usize| capacity * (size + 1);
        slots(self.tallies.capacity(), size_of::<(Minute, Tally)>())
            + slots(self.ids.capacity(), size_of::<u64>())
    }
}

/// The event of `topic` that a dead letter was: its partition and offset, if it is one.
pub(crate) fn dead_event(record: &Decoded<'_>, topic: &str) -> Option<(i32, i64)> {
    let header = |name| record.envelope.and_then(|envelope| envelope.header(name));
    if header(dead_letter::TOPIC)? != topic {
        return None;
    }
    Some((header(dead_letter::PARTITION)?.parse().ok()?, header(dead_letter::OFFSET)?.parse().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use model::{EpochMillis, EpochSeconds};
    use s3_sink::decode::{Error, decode};
    use s3_sink::envelope::Envelope;
    use s3_sink::record::{Header, Record};

    use super::*;

    pub(crate) fn event(user: u64, timestamp: i64, id: Option<&str>) -> String {
        let id = id.map_or(String::new(), |id| format!(r#","event_id":"{id}""#));
        format!(r#"{{"user_id":{user},"postcode":"N1","webpage":"a","timestamp":{timestamp}{id}}}"#)
    }

    /// The minutes of events that lie in `partition` from offset 0 on.
    fn minutes(rules: &Rules, partition: i32, events: &[String]) -> Minutes {
        let minutes = Mutex::new(Minutes::default());
        let mut add = Events::new(&minutes, rules, partition);
        (0..).zip(events).for_each(|(offset, event)| add.add(Some(offset), 99, event.as_bytes()));
        drop(add);
        minutes.into_inner().unwrap()
    }

    fn only(minutes: &Minutes) -> Tally {
        let tallies: Vec<_> = minutes.tallies.values().copied().collect();
        assert_eq!(tallies.len(), 1, "{tallies:?}");
        tallies[0]
    }

    fn rules(next: i64, closed: i64) -> Rules {
        let point = ResumePoint { closed: Some(EpochSeconds(closed)), ..ResumePoint::at(next) };
        Rules { points: [(0, point)].into(), ..Rules::default() }
    }

    #[test]
    fn a_retry_is_no_other_event_and_an_event_without_an_id_always_is() {
        let events =
            [event(1, 60, Some("x")), event(1, 60, Some("x")), event(2, 60, Some("x")), event(1, 60, None)];
        let twice = [events.to_vec(), events.to_vec()].concat();
        let tally = only(&minutes(&rules(99, 120), 0, &twice));
        assert_eq!((tally.events, tally.distinct, tally.is_open), (8, 4, false));
    }

    #[test]
    fn what_is_not_counted_by_rule_is_not_counted_here() {
        let mut rules = rules(99, 120);
        rules.dead.insert((0, 1));
        let found = minutes(&rules, 0, &[event(1, 60, None), event(2, 60, None), "no pageview".to_owned()]);
        assert_eq!((only(&found).events, found.dead, found.malformed), (1, 1, 1));
    }

    #[test]
    fn an_event_waits_while_its_window_is_open_or_nobody_has_read_it() {
        for (next, closed, is_open) in [(1, 120, false), (1, 119, true), (0, 120, true)] {
            let tally = only(&minutes(&rules(next, closed), 0, &[event(1, 60, None)]));
            assert_eq!(tally.is_open, is_open, "{next} {closed}");
        }
        assert!(only(&minutes(&rules(1, 120), 7, &[event(1, 60, None)])).is_open, "nothing is known of it");
    }

    #[test]
    fn minutes_that_the_span_does_not_cover_take_no_memory() {
        let span = Span::new(Some(EpochSeconds(60)), None).unwrap();
        let rules = Rules { span, ..rules(99, 999) };
        let found = minutes(&rules, 0, &[event(1, 59, None), event(1, 60, None)]);
        assert_eq!(only(&found).events, 1);
    }

    #[test]
    fn rows_add_up() {
        let mut minutes = Minutes::default();
        let row = |pageview_count| PageviewAggregate {
            postcode: "N1".parse().unwrap(),
            window_start: Window::containing(EpochSeconds(60)),
            pageview_count,
        };
        minutes.add_row(&row(4), true);
        minutes.add_row(&row(3), false);
        let tally = only(&minutes);
        assert_eq!((tally.counted, tally.counted_within), (7, 4));
    }

    #[test]
    fn a_dead_letter_names_its_event_by_the_headers_that_the_aggregator_has_added() {
        let header =
            |name: &'static str, value: &'static [u8]| Header { name: name.into(), value: Some(value) };
        let headers = [
            header(dead_letter::OFFSET, b"a client's own"),
            header(dead_letter::TOPIC, b"pageviews"),
            header(dead_letter::PARTITION, b"3"),
            header(dead_letter::OFFSET, b"42"),
        ];
        let record =
            Record { offset: 7, timestamp: EpochMillis(0), key: None, value: Some(b"{"), headers: &headers };
        let mut line = Envelope::new("pageview-dead-letters", 0, &record, "malformed_json").to_json();
        line.push(b'\n');
        let mut found = Vec::new();
        decode("dead-letter/topic/x.ndjson", line.into(), |record| {
            found.push((dead_event(&record, "pageviews"), dead_event(&record, "another")));
            Ok::<_, Error>(())
        })
        .unwrap();
        assert_eq!(found, [(Some((3, 42)), None)]);
    }
}
