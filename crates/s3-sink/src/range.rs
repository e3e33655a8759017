//! A range that is filling: its objects grow record by record, and are sealed together.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::EpochMillis;

use crate::Kind;
use crate::checksum::Hasher;
use crate::encode::{Gzip, GzipFile};
use crate::envelope::Envelope;
use crate::ledger::{Content, Entry, Object, Recipe, Written};
use crate::object_name::{LedgerKeys, ObjectName};
use crate::offsets::Offsets;
use crate::record::Record;
use crate::route::{Route, Router, Slot};

/// Counts of more days than this are not put into one range: it would be as many uploads.
const MOST_DAYS: usize = 32;

/// One partition of one writer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The writer.
    pub kind: Kind,
    /// Its topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl Source {
    /// Where its ledger lies.
    #[must_use]
    pub fn ledger(&self) -> LedgerKeys {
        LedgerKeys { topic: self.topic.clone(), partition: self.partition }
    }
}

/// A range `[start, …)` that is filling; it has at least one record.
#[derive(Debug)]
pub struct Range {
    source: Source,
    recipe: Recipe,
    router: Router,
    start: i64,
    end: i64,
    records: u64,
    first: EpochMillis,
    last: EpochMillis,
    files: BTreeMap<Slot, File>,
}

#[derive(Debug, Default)]
struct File {
    gzip: GzipFile,
    content: Hasher,
    records: u64,
    pageview_count: Option<u64>,
    offsets: Offsets,
}

/// A range whose records are all there: what the ledger will say of it, and the bodies of its objects in that order.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The entry.
    pub entry: Entry,
    /// A body for each of the entry's objects.
    pub bodies: Vec<Bytes>,
}

impl Range {
    /// Begins a range at `start` with its first record.
    pub fn begin(
        source: &Source,
        recipe: Recipe,
        router: Router,
        start: i64,
        record: &Record<'_>,
        gzip: &mut Gzip,
    ) -> Self {
        let mut range = Self {
            source: source.clone(),
            recipe,
            router,
            start,
            end: start,
            records: 0,
            first: record.timestamp,
            last: record.timestamp,
            files: BTreeMap::new(),
        };
        range.push(record, gzip);
        range
    }

    /// Whether a *new* range may take `record` too: events of a later hour of ingestion, and counts of yet another
    /// day beyond the thirty-second, begin a range of their own. A range that is written again takes whatever it took.
    #[must_use]
    pub fn admits(&self, record: &Record<'_>) -> bool {
        match self.source.kind {
            Kind::Raw => hour(record.timestamp) <= hour(self.first),
            Kind::Aggregates | Kind::Late if self.days() >= MOST_DAYS => {
                self.files.contains_key(&self.router.route(record).slot())
            }
            Kind::Aggregates | Kind::Late | Kind::DeadLetters => true,
        }
    }

    /// Adds `record` to its object.
    pub fn push(&mut self, record: &Record<'_>, gzip: &mut Gzip) {
        let route = self.router.route(record);
        let file = self.files.entry(route.slot()).or_default();
        match route {
            Route::Line { pageview_count, .. } => {
                file.gzip.line(record.value.unwrap_or_default(), gzip);
                if let Some(count) = pageview_count {
                    file.pageview_count = Some(file.pageview_count.unwrap_or(0).saturating_add(count));
                }
            }
            Route::Envelope { reason } => {
                let Source { topic, partition, .. } = &self.source;
                file.gzip.line(&Envelope::new(topic, *partition, record, &reason).to_json(), gzip);
            }
        }
        file.content.record(record.offset, record.value);
        file.offsets.push(record.offset);
        file.records += 1;
        self.records += 1;
        self.last = record.timestamp;
        self.end = record.offset + 1;
    }

    /// How large its objects are; what is not yet packed counts as it is.
    #[must_use]
    pub fn size(&self) -> usize {
        self.files.values().map(|file| file.gzip.size()).sum()
    }

    /// The bytes of memory it holds.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.files.values().map(|file| file.gzip.memory()).sum()
    }

    /// Its first offset.
    #[must_use]
    pub const fn start(&self) -> i64 {
        self.start
    }

    /// Ends it after its last record.
    #[must_use]
    pub fn seal(self, gzip: &mut Gzip) -> Sealed {
        let name = ObjectName {
            topic: self.source.topic.clone(),
            partition: self.source.partition,
            start: self.start,
            end: self.end,
            extension: "ndjson.gz".to_owned(),
        };
        let (router, first) = (self.router, self.first);
        let mut sealed: Vec<(Object, Bytes)> = self
            .files
            .into_iter()
            .map(|(slot, file)| {
                let object = Object {
                    key: router.key(slot, first, &name),
                    records: file.records,
                    checksum: file.content.finish(),
                    pageview_count: file.pageview_count,
                    offsets: file.offsets.beside(self.start, self.end),
                };
                (object, file.gzip.finish(gzip).into())
            })
            .collect();
        sealed.sort_unstable_by(|(left, _), (right, _)| left.key.cmp(&right.key));
        let (objects, bodies) = sealed.into_iter().unzip();
        let entry = Entry {
            topic: self.source.topic,
            partition: self.source.partition,
            start: self.start,
            end: self.end,
            content: Content::Written(Written {
                recipe: self.recipe,
                records: self.records,
                first_timestamp: self.first,
                last_timestamp: self.last,
                objects,
            }),
        };
        Sealed { entry, bodies }
    }

    fn days(&self) -> usize {
        self.files.keys().filter(|slot| matches!(slot, Slot::Day(_))).count()
    }
}

fn hour(time: EpochMillis) -> i64 {
    time.0.div_euclid(3_600_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::tests::unpack;
    use crate::record::NO_HEADERS;

    const HOUR: i64 = 3_600_000;
    const T: i64 = 1_795_525_200_000;

    fn source(kind: Kind) -> Source {
        Source { kind, topic: "t".to_owned(), partition: 0 }
    }

    fn record(offset: i64, timestamp: i64, value: &[u8]) -> Record<'_> {
        Record {
            offset,
            timestamp: EpochMillis(timestamp),
            key: None,
            value: Some(value),
            headers: &NO_HEADERS,
        }
    }

    fn range(kind: Kind, records: &[Record<'_>], gzip: &mut Gzip) -> Range {
        let mut range =
            Range::begin(&source(kind), Router::recipe(), Router::new(kind), 10, &records[0], gzip);
        records[1..].iter().for_each(|record| range.push(record, gzip));
        range
    }

    fn count(day: usize, count: u64) -> Vec<u8> {
        format!(
            r#"{{"postcode":"N1","window_start":"2021-{:02}-{:02}T00:00:00","pageview_count":{count}}}"#,
            1 + day / 28,
            1 + day % 28
        )
        .into_bytes()
    }

    #[test]
    fn a_raw_range_is_one_object_and_its_poison_another() {
        let mut gzip = Gzip::new();
        let tombstone = Record { value: None, ..record(13, T + 2, b"") };
        let records = [record(11, T, b"{\"a\":1}"), tombstone, record(15, T + 3, b"{\"a\":2}")];
        let Sealed { entry, bodies } = range(Kind::Raw, &records, &mut gzip).seal(&mut gzip);
        assert_eq!((entry.start, entry.end), (10, 16), "the end is the last record's offset + 1");
        let name = "t-p00000-o00000000000000000010-00000000000000000016.ndjson.gz";
        let keys: Vec<_> = entry.objects().iter().map(|object| object.key.as_str()).collect();
        assert_eq!(
            keys,
            [format!("dead-letter/raw/dt=2026-11-24/{name}"), format!("raw/dt=2026-11-24/hour=13/{name}")]
        );
        assert_eq!(unpack(&bodies[1]), b"{\"a\":1}\n{\"a\":2}\n");
        let envelope = Envelope::parse(unpack(&bodies[0]).trim_ascii_end()).unwrap();
        assert_eq!(
            (envelope.offset, envelope.reason.as_str(), envelope.value_base64),
            (13, "tombstone", None)
        );
        let mut expected = Hasher::default();
        expected.record(11, Some(b"{\"a\":1}"));
        expected.record(15, Some(b"{\"a\":2}"));
        assert_eq!(entry.objects()[1].checksum, expected.finish());
        assert_eq!(Entry::parse(&entry.key(), &entry.to_json()).unwrap(), entry);
    }

    #[test]
    fn counts_are_split_by_the_day_of_their_window_and_summed() {
        let mut gzip = Gzip::new();
        let (first, second, third) = (count(0, 5), count(1, 7), count(0, 6));
        let records = [record(10, T, &first), record(11, T, &second), record(12, T, &third)];
        let entry = range(Kind::Late, &records, &mut gzip).seal(&mut gzip).entry;
        let sums: Vec<_> =
            entry.objects().iter().map(|object| (object.records, object.pageview_count)).collect();
        assert_eq!(sums, [(2, Some(11)), (1, Some(7))]);
    }

    #[test]
    fn a_later_hour_is_not_admitted_and_an_earlier_one_is() {
        let mut gzip = Gzip::new();
        let open = range(Kind::Raw, &[record(10, T + 5, b"{}")], &mut gzip);
        assert!(open.admits(&record(11, T + HOUR - 1, b"{}")));
        assert!(!open.admits(&record(11, T + HOUR, b"{}")));
        assert!(open.admits(&record(11, T - HOUR, b"{}")));
        let forced = range(Kind::Raw, &[record(10, T, b"{}"), record(11, T + HOUR, b"{}")], &mut gzip);
        let entry = forced.seal(&mut gzip).entry;
        assert!(entry.objects()[0].key.starts_with("raw/dt=2026-11-24/hour=13/"), "the first record's hour");
        let counts = range(Kind::Aggregates, &[record(10, T, b"{}")], &mut gzip);
        assert!(counts.admits(&record(11, T + HOUR, b"{}")));
    }

    #[test]
    fn the_thirty_third_day_is_not_admitted() {
        let mut gzip = Gzip::new();
        let days: Vec<_> = (0..33).map(|day| count(day, 1)).collect();
        let records: Vec<_> = (0..32).map(|day| record(10 + day as i64, T, &days[day])).collect();
        let open = range(Kind::Aggregates, &records, &mut gzip);
        assert!(open.admits(&record(50, T, &days[31])) && !open.admits(&record(50, T, &days[32])));
        assert!(!open.admits(&record(50, T, b"poison")), "a dead letter would be one more object");
    }
}
