//! What commands that change something look at before they do: the ledger, the objects that are there, how far everybody
//! is, and whether everything has arrived.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aggregator::resume_point::ResumePoint;
use s3_sink::Kind;
use s3_sink::bucket::Bucket;
use s3_sink::hint::Hint;
use s3_sink::ledger::{Entry, Object};
use s3_sink::tiles::PartitionLedger;
use service::Config;
use service::clock::monotonic;
use tokio::task::block_in_place;

use super::ledger::TopicLedger;
use super::positions::Positions;
use super::quiet::Point;
use super::reader::Reader;
use super::{LOOK, Snapshot, ledger, quiet, quiet_snapshot, topics};

/// The pipeline at one moment.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The ledger of each partition of each writer's topic.
    pub(crate) partitions: BTreeMap<(Kind, i32), PartitionLedger>,
    /// All objects, except the ledger's: their keys and sizes in bytes.
    pub(crate) objects: BTreeMap<String, u64>,
    /// Objects that something was taken out of on purpose, as they are now.
    pub(crate) forgotten: BTreeMap<String, BTreeMap<String, Object>>,
    /// What the sink's writers have committed.
    pub(crate) hints: BTreeMap<(Kind, i32), Hint>,
    /// What the aggregator has committed.
    pub(crate) points: HashMap<i32, ResumePoint>,
    /// What is wrong with the ledger, or still on its way to the bucket.
    pub(crate) unsettled: Vec<String>,
}

impl Survey {
    /// Looks, for as long as `wait` at most, until everything has arrived.
    ///
    /// # Errors
    /// When Kafka or S3 does not answer.
    pub(crate) async fn take(config: &Config, bucket: &Bucket, wait: Duration) -> anyhow::Result<Self> {
        let deadline = monotonic() + wait;
        let topics = topics(&config.pipeline);
        let positions = block_in_place(|| Positions::connect(config, &topics, wait.max(LOOK)))?;
        let mut reader = Reader::new(bucket.clone(), &topics);
        Ok(Self::of(quiet_snapshot(&positions, &mut reader, deadline).await?))
    }

    fn of(Snapshot { ledgers, progress, register, objects, in_flight, .. }: Snapshot) -> Self {
        let mut unsettled = ledger::check(&ledgers).findings;
        unsettled.extend(quiet::check(&progress, in_flight).findings);
        let known = progress.points.into_iter().filter_map(|(partition, point)| match point {
            Point::Known(point) => Some((partition, point)),
            Point::None | Point::Unreadable(_) => None,
        });
        let listed = ledgers.iter().flat_map(TopicLedger::entries).flat_map(Entry::objects);
        let changed = listed.filter(|object| register.is_changed(&object.key));
        let forgotten = changed.map(|object| (object.key.clone(), register.left(object))).collect();
        let of_partition = |ledger: TopicLedger| {
            let kind = ledger.kind;
            ledger.partitions.into_iter().map(move |(partition, ledger)| ((kind, partition), ledger))
        };
        let (points, hints) = (known.collect(), progress.hints);
        let partitions = ledgers.into_iter().flat_map(of_partition).collect();
        Self { partitions, objects, forgotten, hints, points, unsettled }
    }

    /// Every range of the writer `kind`, by partition and offset.
    pub(crate) fn entries(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        let of_kind = self.partitions.iter().filter(move |((of, _), _)| *of == kind);
        of_kind.flat_map(|(_, partition)| &partition.entries)
    }

    /// Every object that the writer `kind` has listed below `folder`, with its range.
    pub(crate) fn listed(&self, kind: Kind, folder: &str) -> impl Iterator<Item = (&Entry, &Object)> {
        let objects = self.entries(kind).flat_map(|entry| entry.objects().iter().map(move |o| (entry, o)));
        objects.filter(move |(_, object)| {
            object.key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Whether no range of its partition follows.
    pub(crate) fn is_newest(&self, kind: Kind, entry: &Entry) -> bool {
        let partition = self.partitions.get(&(kind, entry.partition));
        partition.and_then(PartitionLedger::frontier) == Some(entry.end)
    }

    /// Whether the sink will never write the objects of this range again: there is a later one, or its commit says that
    /// they were all written.
    pub(crate) fn is_completed(&self, kind: Kind, entry: &Entry) -> bool {
        !self.is_newest(kind, entry)
            || self
                .hints
                .get(&(kind, entry.partition))
                .is_some_and(|hint| hint.completed(entry.start, entry.end))
    }
}
