//! Asking Kafka how far everybody is.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use s3_sink::Kind;
use s3_sink::hint::Hint;
use service::clock::monotonic;
use service::kafka::{consumer_config, metadata};
use service::{Config, kafka};

use super::ledger::TopicLedger;
use super::quiet::{Lag, Point, Progress};
use crate::kafka::{Cluster, TIMEOUT};
use crate::verdict::Unreachable;

/// How long one look for records may take.
const LOOK: Duration = Duration::from_secs(10);
/// How long one wait for a record takes.
const POLL: Duration = Duration::from_millis(20);

/// The clients of an audit. None of them joins a group.
pub(super) struct Positions {
    cluster: Cluster,
    /// Sees every record, so that its end of a partition is behind open transactions.
    uncommitted: BaseConsumer,
    aggregator: BaseConsumer,
    writers: Vec<(Kind, String, BaseConsumer)>,
    /// Partitions of each topic.
    partitions: BTreeMap<String, i32>,
}

impl Positions {
    /// Waits up to `wait` for Kafka.
    pub(super) fn connect(
        config: &Config,
        topics: &[(Kind, String)],
        wait: Duration,
    ) -> anyhow::Result<Self> {
        let cluster = Cluster::new(config)?;
        let partitions = partitions(&cluster.metadata(wait)?);
        if let Some((_, topic)) = topics.iter().find(|(_, topic)| !partitions.contains_key(topic)) {
            let words = format!("there is no topic {topic}; `pageviews topics` makes it");
            return Err(Unreachable(words).into());
        }
        let group = &config.pipeline.group_id;
        let writer = |(kind, topic): &(Kind, String)| {
            let consumer = consumer_config(config, kind.group_id()).create()?;
            Ok((*kind, topic.clone(), consumer))
        };
        Ok(Self {
            cluster,
            uncommitted: consumer_config(config, group)
                .set("isolation.level", "read_uncommitted")
                .create()?,
            aggregator: consumer_config(config, group).create()?,
            writers: topics.iter().map(writer).collect::<KafkaResult<_>>()?,
            partitions,
        })
    }

    /// The ids of the cluster and of `topic`, which tell a topic from one that was made again under its name.
    pub(super) fn identity(&self, topic: &str) -> Result<(String, String), kafka::cluster::Error> {
        let client = self.uncommitted.client();
        let cluster = kafka::cluster::cluster_id(client, TIMEOUT)?;
        Ok((cluster, kafka::cluster::topic_id(client, topic, TIMEOUT)?))
    }

    /// How far everybody is whose output `ledgers` shows; `points` were read before the ledgers.
    pub(super) fn progress(
        &self,
        ledgers: &[TopicLedger],
        points: BTreeMap<i32, Point>,
    ) -> anyhow::Result<Progress> {
        let mut progress = Progress { points, ..Progress::default() };
        self.look(ledgers, &mut progress).map_err(|error| self.cluster.refused(&error))?;
        progress.compare(&self.points()?);
        Ok(progress)
    }

    /// What the aggregator has committed for each partition of the events.
    pub(super) fn points(&self) -> anyhow::Result<BTreeMap<i32, Point>> {
        let events = self.writers.iter().find(|(kind, ..)| *kind == Kind::Raw);
        let topic = events.map_or("", |(_, topic, _)| topic);
        let committed = self.committed(&self.aggregator, topic);
        let committed = committed.map_err(|error| self.cluster.refused(&error))?;
        let point = |(partition, committed): (i32, Option<(i64, String)>)| {
            let point = match committed {
                None => Point::None,
                Some((_, metadata)) => match metadata.parse() {
                    Ok(point) => Point::Known(point),
                    Err(error) => Point::Unreadable(error.to_string()),
                },
            };
            (partition, point)
        };
        Ok(committed.into_iter().map(point).collect())
    }

    fn look(&self, ledgers: &[TopicLedger], progress: &mut Progress) -> KafkaResult<()> {
        let (mut sink, mut aggregator) = (Vec::new(), Vec::new());
        for (kind, topic, consumer) in &self.writers {
            let ledger = ledgers.iter().find(|ledger| ledger.kind == *kind);
            for (partition, committed) in self.committed(consumer, topic)? {
                let of = (*kind, partition);
                if let Some((offset, metadata)) = committed {
                    progress.committed.insert(of, offset);
                    progress.hints.extend(Hint::parse(offset, &metadata).map(|hint| (of, hint)));
                }
                let client = self.uncommitted.client();
                let (start, end) = kafka::watermarks(client, topic, partition, TIMEOUT)?;
                progress.starts.insert(of, start);
                progress.ends.insert(of, end);
                let lag = |who, position: Option<i64>| Lag {
                    who,
                    topic: topic.clone(),
                    partition,
                    position: position.unwrap_or(start),
                    end,
                };
                sink.push(lag("s3-sink", ledger.and_then(|ledger| ledger.frontier(partition))));
                if *kind == Kind::Raw {
                    let position = match progress.points.get(&partition) {
                        Some(Point::Known(point)) => Some(point.next),
                        // Whatever the offset means, the balance cannot be proved; it does not lag.
                        Some(Point::Unreadable(_)) => Some(end),
                        Some(Point::None) | None => None,
                    };
                    aggregator.push(lag("aggregator", position));
                }
            }
        }
        progress.positions = sink.len() + aggregator.len();
        progress.lags = self.with_records(sink)?;
        progress.lags.extend(self.with_records(aggregator)?);
        Ok(())
    }

    /// What `consumer`'s group has committed for each partition of `topic`: the offset and its metadata.
    fn committed(
        &self,
        consumer: &BaseConsumer,
        topic: &str,
    ) -> KafkaResult<BTreeMap<i32, Option<(i64, String)>>> {
        let mut asked = TopicPartitionList::new();
        let partitions = self.partitions.get(topic).copied().unwrap_or(0);
        for partition in 0..partitions {
            asked.add_partition(topic, partition);
        }
        let answer = consumer.committed_offsets(asked, TIMEOUT)?;
        let committed = answer.elements().into_iter().map(|element| match element.offset() {
            Offset::Offset(offset) => {
                let metadata = metadata(&answer, topic, element.partition()).unwrap_or_default();
                (element.partition(), Some((offset, String::from_utf8_lossy(metadata).into_owned())))
            }
            _ => (element.partition(), None),
        });
        Ok(committed.collect())
    }

    /// Those of `candidates` that have a record before them. What lies between a position and the end is often only the
    /// marker of a transaction, which nobody will ever take in.
    fn with_records(&self, candidates: Vec<Lag>) -> KafkaResult<Vec<Lag>> {
        let mut pending: Vec<_> = candidates.into_iter().filter(|lag| lag.position < lag.end).collect();
        if pending.is_empty() {
            return Ok(pending);
        }
        // The aggregator's consumer sees committed records only, and stops at the first open transaction.
        let reader = &self.aggregator;
        let mut assignment = TopicPartitionList::new();
        for Lag { topic, partition, position, .. } in &pending {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(*position))?;
        }
        reader.assign(&assignment)?;
        // A partition that an earlier look has paused stays paused otherwise, through unassign and assign.
        reader.resume(&assignment)?;
        let (mut lags, deadline) = (Vec::new(), monotonic() + LOOK);
        while !pending.is_empty() && monotonic() < deadline {
            // An error is a broker that is away for a moment, or that stays away until the deadline.
            if let Some(Ok(record)) = reader.poll(POLL) {
                let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
                let found = |lag: &mut Lag| lag.topic == topic && lag.partition == partition;
                lags.extend(pending.extract_if(.., found).filter(|lag| offset < lag.end));
                let mut done = TopicPartitionList::new();
                done.add_partition(topic, partition);
                reader.pause(&done)?;
            }
            let positions = reader.position()?;
            pending.retain(|lag| {
                let position = positions.find_partition(&lag.topic, lag.partition);
                !position.is_some_and(|at| matches!(at.offset(), Offset::Offset(offset) if offset >= lag.end))
            });
        }
        reader.unassign()?;
        // What could not be read to its end is behind an open transaction.
        lags.extend(pending);
        Ok(lags)
    }
}

fn partitions(metadata: &Metadata) -> BTreeMap<String, i32> {
    let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
    topics
        .filter_map(|topic| Some((topic.name().to_owned(), topic.partitions().len().try_into().ok()?)))
        .collect()
}
