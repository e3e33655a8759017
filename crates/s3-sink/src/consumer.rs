//! The consumer of one writer: a thin layer over rdkafka that starts every partition paused, because where it is read
//! from is for the ledger to say.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{
    BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, RebalanceProtocol,
};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset};
use service::kafka::cluster;
use service::kafka::records::{Flow, PartitionError, Record, Records};

use crate::frontier::Log;
use crate::hint::Hint;
use crate::identity;
use crate::ledger::Origin;

/// How long one question to the cluster may take. They are asked by the thread that polls, so that all of them together
/// stay far below `max.poll.interval.ms`.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a rebalance did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// These partitions came.
    Assigned(Vec<i32>),
    /// These went.
    Revoked(Vec<i32>),
}

/// The consumer of one topic.
pub(crate) struct Consumer {
    records: Records<Context>,
    topic: String,
    changes: Receiver<Change>,
}

struct Context {
    changes: Sender<Change>,
    commits: Mutex<Commits>,
}

#[derive(Default)]
struct Commits {
    /// The last commit of each partition that was not answered yet. librdkafka leaves some unanswered over a rebalance;
    /// the next one of the partition takes their place.
    sent: BTreeMap<i32, i64>,
    /// Partitions whose last commit failed.
    failed: BTreeSet<i32>,
}

impl Consumer {
    pub(crate) fn subscribe(config: &ClientConfig, topic: &str) -> KafkaResult<Self> {
        let (sender, changes) = channel();
        let inner: BaseConsumer<Context> =
            service::kafka::create(config, Context { changes: sender, commits: Mutex::default() })?;
        inner.subscribe(&[topic])?;
        let name = CString::new(topic)?;
        Ok(Self { records: Records::new(inner, name), topic: topic.to_owned(), changes })
    }

    fn inner(&self) -> &BaseConsumer<Context> {
        self.records.consumer()
    }

    /// Takes what the group and the client have to say: see [`Records::hear`].
    pub(crate) fn hear(&self) -> Option<KafkaResult<i32>> {
        self.records.hear()
    }

    /// Waits for records, and hands on those that are here: see [`Records::read`].
    pub(crate) fn read<F>(&self, timeout: Duration, each: F)
    where
        F: FnMut(Result<Record<'_>, PartitionError>) -> Flow,
    {
        self.records.read(timeout, each);
    }

    /// Sees to it that the records of `partitions` come to [`Consumer::read`]. A fetch that stopped and started again may
    /// have led them back to the group's own queue.
    pub(crate) fn take_over(&self, partitions: impl IntoIterator<Item = i32>) {
        self.records.take_over(partitions);
    }

    /// Where the partition's log ended when it was last fetched.
    pub(crate) fn last_known_end(&self, partition: i32) -> Option<i64> {
        self.records.last_known_end(partition)
    }

    /// What rebalances did since the last call, in their order.
    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.try_iter().collect()
    }

    /// Whether it is a member of its group, with partitions or without.
    pub(crate) fn joined(&self) -> bool {
        service::kafka::group::membership(self.inner()).is_some()
    }

    /// Whether a broker answers.
    pub(crate) fn reaches_kafka(&self) -> bool {
        service::kafka::reaches(self.inner().client(), TIMEOUT)
    }

    /// Who the topic is.
    pub(crate) fn origin(&self) -> Result<Origin, cluster::Error> {
        identity::ask(self.inner().client(), &self.topic, TIMEOUT)
    }

    pub(crate) fn log(&self, partition: i32) -> KafkaResult<Log> {
        let client = self.inner().client();
        let (start, end) = service::kafka::watermarks(client, &self.topic, partition, TIMEOUT)?;
        Ok(Log { start, end })
    }

    /// The hints committed for `partitions`, in their order.
    pub(crate) fn hints(&self, partitions: &[i32]) -> KafkaResult<Vec<Option<Hint>>> {
        let committed = self.inner().committed_offsets(self.list(partitions), TIMEOUT)?;
        let hint = |partition: &i32| {
            let Offset::Offset(offset) = committed.find_partition(&self.topic, *partition)?.offset() else {
                return None;
            };
            let metadata = service::kafka::metadata(&committed, &self.topic, *partition)?;
            Hint::parse(offset, str::from_utf8(metadata).ok()?)
        };
        Ok(partitions.iter().map(hint).collect())
    }

    /// Where each partition was read up to, control records included; not those of which nothing was read since the last
    /// seek.
    pub(crate) fn positions(&self) -> BTreeMap<i32, i64> {
        let Ok(list) = self.inner().position() else { return BTreeMap::new() };
        let position = |element: &TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        };
        list.elements().iter().filter_map(position).collect()
    }

    /// Delivers the partition from `offset` on, and nothing that was fetched before. Resumed first: a seek forgets what
    /// was fetched in between.
    pub(crate) fn read_from(&self, partition: i32, offset: i64) -> KafkaResult<()> {
        self.records.take_over([partition]);
        self.inner().resume(&self.list(&[partition]))?;
        self.inner().seek(&self.topic, partition, Offset::Offset(offset), TIMEOUT)
    }

    /// As [`Consumer::read_from`], for a partition that cannot seek any more.
    pub(crate) fn start_at(&self, partition: i32, offset: i64) -> KafkaResult<()> {
        let mut list = self.list(&[partition]);
        // Refused when an attempt before this one got so far and no further: then there is nothing to take away.
        let _ = self.inner().incremental_unassign(&list);
        list.set_all_offsets(Offset::Offset(offset))?;
        self.records.take_over([partition]);
        self.inner().incremental_assign(&list)?;
        self.inner().resume(&list)
    }

    pub(crate) fn pause(&self, partition: i32) -> KafkaResult<()> {
        self.inner().pause(&self.list(&[partition]))
    }

    pub(crate) fn commit(&self, partition: i32, hint: Hint) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&self.topic, partition);
        element.set_offset(Offset::Offset(hint.committed))?;
        element.set_metadata(hint.metadata());
        self.inner().commit(&list, CommitMode::Async)?;
        let mut commits = self.inner().context().commits();
        commits.sent.insert(partition, hint.committed);
        commits.failed.remove(&partition);
        Ok(())
    }

    /// The partitions whose last commit failed since the last call.
    pub(crate) fn failed_commits(&self) -> BTreeSet<i32> {
        std::mem::take(&mut self.inner().context().commits().failed)
    }

    /// Whether the last commit of each of `partitions` was answered, well or not.
    pub(crate) fn commits_answered<'a>(&self, mut partitions: impl Iterator<Item = &'a i32>) -> bool {
        let commits = self.inner().context().commits();
        !partitions.any(|partition| commits.sent.contains_key(partition))
    }

    fn list(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        list
    }
}

impl Context {
    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, line: &str) {
        service::kafka::LogOnly.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        service::kafka::LogOnly.error(error, reason);
    }
}

impl ConsumerContext for Context {
    /// As rdkafka does it, except that a partition starts at its beginning and paused. With the committed offset a
    /// partition that has none, or one that expired, could not start at all (`auto.offset.reset` is `error`).
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let cooperative = matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let partitions = list.elements().iter().map(|element| element.partition()).collect();
        let done = if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = list.set_all_offsets(Offset::Beginning).and_then(|()| {
                if cooperative { consumer.incremental_assign(list) } else { consumer.assign(list) }
            });
            let _ = self.changes.send(Change::Assigned(partitions));
            assigned.and_then(|()| consumer.pause(list))
        } else {
            let _ = self.changes.send(Change::Revoked(partitions));
            if cooperative { consumer.incremental_unassign(list) } else { consumer.unassign() }
        };
        if let Err(error) = done {
            // The group's coordinator notices that it was not followed; the next rebalance puts it right.
            tracing::warn!(%error, "rebalance");
        }
    }

    fn pre_rebalance(&self, _: &BaseConsumer<Self>, _: &Rebalance<'_>) {}

    fn commit_callback(&self, result: KafkaResult<()>, list: &TopicPartitionList) {
        let mut commits = self.commits();
        for element in list.elements() {
            let (partition, offset) = (element.partition(), element.offset().to_raw());
            if commits.sent.get(&partition).copied() == offset {
                commits.sent.remove(&partition);
                if result.is_err() || element.error().is_err() {
                    commits.failed.insert(partition);
                }
            }
        }
        if let Err(error) = result {
            // A hint lost is a longer list at the next start, and a lag that is none until then.
            tracing::debug!(%error, "commit");
        }
    }
}
