//! A range that is filling, as the planner sees it: what was read and not yet handed to an encoder, and how full the rest
//! is. The range itself is here or with an encoder, never at both.

use std::collections::BTreeSet;
use std::time::Instant;

use model::EpochMillis;

use crate::Kind;
use crate::action::Job;
use crate::batch::Batch;
use crate::encode::Fill;
use crate::range::{Range, Source};
use crate::record::Record;
use crate::route::{Router, Slot};

/// So much is handed to an encoder at a time, in bytes: with less, handing over would cost more than encoding.
pub(super) const BATCH: usize = 256 << 10;
/// Counts of more days than this are not put into one range: it would be as many uploads.
const MOST_DAYS: usize = 32;
/// The largest object, and so the most that a range may grow to: one PUT, and one body in memory. The last record, a
/// mebibyte at most, may come on top.
const LARGEST: usize = 63 << 20;

/// A range with at least one record.
#[derive(Debug)]
pub(super) struct Open {
    id: u64,
    kind: Kind,
    router: Router,
    since: Instant,
    start: i64,
    end: i64,
    first: EpochMillis,
    /// The objects of counts, one a day.
    days: BTreeSet<Slot>,
    batch: Batch,
    /// An empty one that has been full.
    spare: Batch,
    /// `None` while an encoder has it.
    range: Option<Range>,
    /// Bytes of records that an encoder has not given back yet.
    out: usize,
    /// And their weight.
    out_weight: usize,
    /// As it was when it was last here.
    fill: Fill,
}

impl Open {
    /// The range `id` begins at `start` with `record`.
    pub(super) fn begin(
        id: u64,
        source: &Source,
        router: Router,
        start: i64,
        record: &Record<'_>,
        now: Instant,
    ) -> Self {
        let mut open = Self {
            id,
            kind: source.kind,
            router,
            since: now,
            start,
            end: start,
            first: record.timestamp,
            days: BTreeSet::new(),
            batch: Batch::default(),
            spare: Batch::default(),
            range: Some(Range::new(source.clone(), router, start)),
            out: 0,
            out_weight: 0,
            fill: Fill::default(),
        };
        open.push(record);
        open
    }

    /// Adds `record` to the range that is open, or to the one that `begin` begins with it.
    pub(super) fn add<'a>(
        open: &'a mut Option<Self>,
        record: &Record<'_>,
        begin: impl FnOnce() -> Self,
    ) -> &'a mut Self {
        match open {
            Some(open) => {
                open.push(record);
                open
            }
            None => open.insert(begin()),
        }
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) const fn start(&self) -> i64 {
        self.start
    }

    /// The offset after its last record.
    pub(super) const fn end(&self) -> i64 {
        self.end
    }

    /// When its first record came.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    /// Whether it may take `record` too: events of a later hour of ingestion, and counts of yet another day beyond the
    /// thirty-second, begin a range of their own. A range that is written again takes whatever it took, unasked.
    pub(super) fn admits(&self, record: &Record<'_>) -> bool {
        match self.kind {
            Kind::Raw => hour(record.timestamp) <= hour(self.first),
            Kind::Aggregates | Kind::Late if self.days.len() >= MOST_DAYS => {
                self.days.contains(&self.router.route(record).slot())
            }
            Kind::Aggregates | Kind::Late | Kind::DeadLetters => true,
        }
    }

    fn push(&mut self, record: &Record<'_>) {
        // An encoder routes it again: counts are few, and of events nothing has to be known here.
        if matches!(self.kind, Kind::Aggregates | Kind::Late) {
            self.days.insert(self.router.route(record).slot());
        }
        self.batch.push(record);
        self.end = record.offset + 1;
    }

    /// Whether its objects have grown to `size` bytes, as encoded.
    pub(super) fn is_full(&self, size: usize) -> bool {
        let waiting = self.out + self.batch.size();
        self.fill.likely(waiting) >= size || self.fill.most(waiting) >= LARGEST
    }

    /// What an encoder can do meanwhile, if there is enough of it.
    pub(super) fn job(&mut self) -> Option<Job> {
        if self.batch.weight() >= BATCH { self.hand_over(false) } else { None }
    }

    /// The last of it for an encoder, once the range is back from there.
    pub(super) fn last_job(&mut self) -> Option<Job> {
        self.hand_over(true)
    }

    fn hand_over(&mut self, seal: bool) -> Option<Job> {
        let range = self.range.take()?;
        let batch = std::mem::replace(&mut self.batch, std::mem::take(&mut self.spare));
        (self.out, self.out_weight) = (batch.size(), batch.weight());
        Some(Job { id: self.id, range, batch, seal })
    }

    /// The range is back from an encoder.
    pub(super) fn came_back(&mut self, range: Range, batch: Batch) {
        self.spare = batch;
        self.fill = range.fill();
        self.range = Some(range);
        (self.out, self.out_weight) = (0, 0);
    }

    /// How much waits for an encoder, in bytes. What is not enough for one waits for more records, and for nobody.
    pub(super) const fn unencoded(&self) -> usize {
        if self.range.is_some() { 0 } else { self.batch.weight() + self.out_weight }
    }

    /// The bytes of memory it holds, wherever they are.
    pub(super) const fn memory(&self) -> usize {
        self.batch.memory() + self.spare.memory() + self.out_weight + self.fill.memory
    }
}

fn hour(time: EpochMillis) -> i64 {
    time.0.div_euclid(3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Encoded, Progress};
    use crate::encode::Tools;
    use crate::format::Format;
    use crate::record::NO_HEADERS;

    const HOUR: i64 = 3_600_000;
    const T: i64 = 1_795_525_200_000;

    fn record(offset: i64, timestamp: i64, value: &[u8]) -> Record<'_> {
        Record {
            offset,
            timestamp: EpochMillis(timestamp),
            key: None,
            value: Some(value),
            headers: &NO_HEADERS,
        }
    }

    fn open(kind: Kind, format: Format, records: &[Record<'_>]) -> Open {
        let source = Source { kind, topic: "t".to_owned(), partition: 0 };
        let (router, now) = (Router::new(kind, format), service::clock::monotonic());
        let mut open = Open::begin(1, &source, router, 10, &records[0], now);
        records[1..].iter().for_each(|record| open.push(record));
        open
    }

    #[test]
    fn a_later_hour_is_not_admitted_and_an_earlier_one_is() {
        let events = open(Kind::Raw, Format::NdjsonGz, &[record(10, T + 5, b"{}")]);
        assert!(events.admits(&record(11, T + HOUR - 1, b"{}")));
        assert!(!events.admits(&record(11, T + HOUR, b"{}")));
        assert!(events.admits(&record(11, T - HOUR, b"{}")));
        let counts = open(Kind::Aggregates, Format::NdjsonGz, &[record(10, T, b"{}")]);
        assert!(counts.admits(&record(11, T + HOUR, b"{}")));
    }

    #[test]
    fn the_thirty_third_day_is_not_admitted() {
        let count = |day: usize| {
            let (month, day) = (1 + day / 28, 1 + day % 28);
            format!(
                r#"{{"postcode":"N1","window_start":"2021-{month:02}-{day:02}T00:00:00","pageview_count":1}}"#
            )
        };
        let days: Vec<_> = (0..33).map(count).collect();
        let records: Vec<_> = (0..32).map(|day| record(10 + day as i64, T, days[day].as_bytes())).collect();
        let counts = open(Kind::Aggregates, Format::NdjsonGz, &records);
        assert!(counts.admits(&record(50, T, days[31].as_bytes())));
        assert!(!counts.admits(&record(50, T, days[32].as_bytes())));
        assert!(!counts.admits(&record(50, T, b"poison")), "a dead letter would be one more object");
    }

    #[test]
    fn what_an_encoder_has_is_counted_and_given_to_no_other() {
        let line = vec![b'x'; BATCH];
        let mut events = open(Kind::Raw, Format::NdjsonGz, &[record(10, T, &line)]);
        assert_eq!(events.unencoded(), 0, "nobody was asked");
        let job = events.job().expect("a batch is full");
        events.push(&record(11, T, &line));
        assert!(events.job().is_none() && events.last_job().is_none(), "the range is not here");
        assert!(events.unencoded() > 2 * BATCH);
        assert!(events.memory() >= 2 * BATCH);
        let Encoded { what: Ok(Progress::Grown(range)), batch, .. } = job.run(&mut Tools::new()) else {
            panic!("it grows")
        };
        assert!(batch.is_empty());
        events.came_back(range, batch);
        assert_eq!(events.unencoded(), 0);
        assert!(events.last_job().is_some_and(|job| job.seal && !job.batch.is_empty()));
    }

    /// What was packed says how large the rest will be; the most it can be is bounded all the same.
    #[test]
    fn it_is_full_at_its_likely_size_and_never_above_the_largest() {
        let mut events = open(Kind::Raw, Format::NdjsonGz, &[record(10, T, b"{}")]);
        events.fill = Fill { packed: 10 << 20, unpacked: 100 << 20, waiting: 0, memory: 0 };
        events.out = 50 << 20;
        assert!(events.is_full(15 << 20) && !events.is_full(16 << 20));
        events.out = 54 << 20;
        assert!(events.is_full(1 << 30));
    }
}
