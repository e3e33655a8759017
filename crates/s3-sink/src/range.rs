//! A range that is filling: its objects grow batch by batch, and are sealed together.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::EpochMillis;

use crate::Kind;
use crate::batch::Batch;
use crate::checksum::Hasher;
use crate::encode::{Error, File, Fill, Tools};
use crate::envelope::Envelope;
use crate::ledger::{Content, Entry, Object, Written};
use crate::object_name::{LedgerKeys, ObjectName};
use crate::offsets::Offsets;
use crate::record::Record;
use crate::route::{Route, Router, Slot};

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

/// A range `[start, …)` that is filling. It belongs to whoever encodes it for as long as that takes.
#[derive(Debug)]
pub struct Range {
    source: Source,
    router: Router,
    start: i64,
    end: i64,
    records: u64,
    /// The timestamps of its first record and of its last.
    times: Option<(EpochMillis, EpochMillis)>,
    objects: BTreeMap<Slot, Growing>,
}

/// An object of it.
#[derive(Debug)]
struct Growing {
    file: File,
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
    /// An empty range that begins at `start`.
    #[must_use]
    pub const fn new(source: Source, router: Router, start: i64) -> Self {
        Self { source, router, start, end: start, records: 0, times: None, objects: BTreeMap::new() }
    }

    /// Adds the records of `batch` to their objects.
    ///
    /// # Errors
    /// When an encoder fails; then the range is of no use any more.
    pub fn push(&mut self, batch: &Batch, tools: &mut Tools) -> Result<(), Error> {
        batch.records().try_for_each(|record| self.record(&record, tools))
    }

    fn record(&mut self, record: &Record<'_>, tools: &mut Tools) -> Result<(), Error> {
        let route = self.router.route(record);
        let slot = route.slot();
        let object = self.objects.entry(slot).or_insert_with(|| Growing::new(self.router, slot));
        let Source { topic, partition, .. } = &self.source;
        match &route {
            Route::Envelope { reason } => {
                let envelope = Envelope::new(topic, *partition, record, reason);
                object.file.line(&envelope.to_json(), tools)?;
            }
            route => {
                if let Route::Count(count) = route {
                    let sum = object.pageview_count.unwrap_or(0).saturating_add(count.pageview_count);
                    object.pageview_count = Some(sum);
                }
                object.file.push(record, route, *partition, tools)?;
            }
        }
        object.content.record(record.offset, record.value);
        object.offsets.push(record.offset);
        object.records += 1;
        self.records += 1;
        self.times = Some((self.times.map_or(record.timestamp, |(first, _)| first), record.timestamp));
        self.end = record.offset + 1;
        Ok(())
    }

    /// How full its objects are, all together.
    #[must_use]
    pub fn fill(&self) -> Fill {
        self.objects.values().map(|object| object.file.fill()).fold(Fill::default(), Fill::and)
    }

    /// Ends it after its last record.
    ///
    /// # Errors
    /// When an encoder fails.
    pub fn seal(self, tools: &mut Tools) -> Result<Sealed, Error> {
        let Self { source: Source { topic, partition, .. }, router, start, end, records, times, objects } =
            self;
        let (first, last) = times.unwrap_or((EpochMillis(0), EpochMillis(0)));
        let mut sealed = Vec::with_capacity(objects.len());
        for (slot, object) in objects {
            let extension = router.format(slot).name().to_owned();
            let name = ObjectName { topic: topic.clone(), partition, start, end, extension };
            let body = object.file.finish(tools)?;
            let object = Object {
                key: router.key(slot, first, &name),
                records: object.records,
                checksum: object.content.finish(),
                pageview_count: object.pageview_count,
                offsets: object.offsets.beside(start, end),
            };
            sealed.push((object, Bytes::from(body)));
        }
        sealed.sort_unstable_by(|(left, _), (right, _)| left.key.cmp(&right.key));
        let (objects, bodies) = sealed.into_iter().unzip();
        let content = Content::Written(Written {
            recipe: router.recipe(),
            records,
            first_timestamp: first,
            last_timestamp: last,
            objects,
        });
        Ok(Sealed { entry: Entry { topic, partition, start, end, content }, bodies })
    }
}

impl Growing {
    fn new(router: Router, slot: Slot) -> Self {
        Self {
            file: File::new(router.format(slot)),
            content: Hasher::default(),
            records: 0,
            pageview_count: None,
            offsets: Offsets::default(),
        }
    }
}

#[cfg(test)]
#[path = "range_tests.rs"]
mod tests;
