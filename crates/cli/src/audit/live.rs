//! The quick audit again and again, beside a pipeline that runs.

use s3_sink::Kind;
use s3_sink::bucket::Bucket;
use service::Config;
use service::clock::monotonic;
use tokio::task::block_in_place;

use super::check::{Check, Status, worst};
use super::positions::Positions;
use super::reader::Reader;
use super::{Judged, LOOK, judge, quiet_snapshot, topics};
use crate::objects;

/// Keeps its clients, and the documents of the ledger that it has read: the next look reads only what is new.
pub(crate) struct Auditor {
    bucket: Bucket,
    positions: Positions,
    reader: Reader,
    /// The topic of the events.
    events: String,
}

/// What one look found.
#[derive(Debug)]
pub(crate) struct Audited {
    /// The worst of all checks.
    pub(crate) status: Status,
    pub(crate) checks: Vec<Check>,
    /// Whether what cannot be proved waits for nothing but what is on its way.
    pub(crate) only_waits: bool,
    /// Events in the bucket, by its ledger.
    pub(crate) events: u64,
    /// Events in Kafka that are not in S3, or not counted.
    pub(crate) on_their_way: u64,
}

impl Auditor {
    /// # Errors
    /// When Kafka or S3 does not answer.
    pub(crate) async fn connect(config: &Config) -> anyhow::Result<Self> {
        let bucket = objects::bucket(config).await?;
        let topics = topics(&config.pipeline);
        let positions = block_in_place(|| Positions::connect(config, &topics, LOOK))?;
        let reader = Reader::new(bucket.clone(), &topics);
        Ok(Self { bucket, positions, reader, events: config.pipeline.pageviews_topic.clone() })
    }

    /// Looks once, without waiting until everything has arrived.
    ///
    /// # Errors
    /// When Kafka or S3 does not answer.
    pub(crate) async fn look(&mut self) -> anyhow::Result<Audited> {
        let snapshot = quiet_snapshot(&self.positions, &mut self.reader, monotonic()).await?;
        let Judged { checks, is_settled, is_known, .. } =
            judge(&self.bucket, &self.positions, &snapshot).await?;
        let raw = snapshot.ledgers.iter().filter(|ledger| ledger.kind == Kind::Raw);
        let objects = raw.flat_map(|ledger| ledger.entries()).flat_map(|entry| entry.objects());
        Ok(Audited {
            status: worst(&checks),
            only_waits: is_known && !is_settled,
            events: objects.map(|object| object.records).sum(),
            on_their_way: snapshot.progress.on_their_way(&self.events),
            checks,
        })
    }
}
