//! This thread's place in the consumer group: its consumer, and what fences its commits.

use std::ffi::CString;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use service::Config;
use service::config::GroupProtocol;
use service::kafka::group::{self, Membership};
use service::kafka::records::{Flow, PartitionError, Record, Records};

use crate::error::Error;
use crate::rebalance::{self, Rebalance, Rebalances};
use crate::windows::LogBounds;

/// How long a question to the brokers may take; the loop goes on in between.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A member of the group.
pub(crate) struct Group {
    records: Records<Rebalances>,
    topic: String,
    fence: Option<(ConsumerGroupMetadata, Membership)>,
}

/// Whether a member that takes fresh metadata is the one that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Continuity {
    SameMember,
    /// What it has read may have been another's to count: drop it all.
    AnotherMember,
}

/// What is committed for a partition.
pub(crate) struct Commit {
    pub(crate) partition: i32,
    pub(crate) offset: Option<i64>,
    pub(crate) metadata: String,
}

impl Group {
    /// Subscribes; partitions come with the first rebalance. `member` tells this thread from all others.
    pub(crate) fn join(config: &Config, member: &str) -> Result<Self, Error> {
        let mut client = service::kafka::consumer_config(config, &config.pipeline.group_id);
        // As fast as more, and holds a third of the memory (DESIGN section 7).
        service::kafka::default_to(&mut client, "fetch.message.max.bytes", "262144");
        // Of each partition. 100,000, as by default, take some hundred megabytes while it catches up, and are no faster.
        service::kafka::default_to(&mut client, "queued.min.messages", "10000");
        // Where reading starts is ours to say: an offset that is not in the log is news, and not a reason to jump.
        client.set("auto.offset.reset", "error");
        if config.kafka.static_membership {
            client.set("group.instance.id", member);
        }
        let consumer: BaseConsumer<Rebalances> =
            service::kafka::create(&client, Rebalances::default()).map_err(Error::Client)?;
        let topic = config.pipeline.pageviews_topic.clone();
        consumer.subscribe(&[&topic]).map_err(Error::Consumer)?;
        let protocol = match config.kafka.group_protocol {
            GroupProtocol::Classic => "classic",
            GroupProtocol::Consumer => "consumer",
        };
        tracing::info!(topic, group = config.pipeline.group_id, protocol, member, "joining the group");
        let name = CString::new(topic.as_str()).map_err(|error| Error::Client(error.into()))?;
        Ok(Self { records: Records::new(consumer, name), topic, fence: None })
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

    /// Sees to it that the records of `partitions` come to [`Group::read`].
    pub(crate) fn take_over(&self, partitions: impl IntoIterator<Item = i32>) {
        self.records.take_over(partitions);
    }

    /// Where the partition's log ended when it was last fetched.
    pub(crate) fn last_known_end(&self, partition: i32) -> Option<i64> {
        self.records.last_known_end(partition)
    }

    /// The rebalance to answer next. It stays the next one until [`Self::assign`] or [`Self::unassign`].
    pub(crate) fn next_rebalance(&self) -> Option<Rebalance> {
        self.records.consumer().context().next()
    }

    /// Takes fresh group metadata. Only an assignment makes it safe: fresh metadata commits happily for partitions that
    /// another member owns by now, so the state of partitions that were lost must be gone before.
    ///
    /// Tells whether this is still the same member. A member that was expelled comes back under another id, with static
    /// membership even without an event that takes its partitions away: others may have had them in between.
    #[must_use]
    pub(crate) fn renew_fence(&mut self) -> Continuity {
        let before = self.fence.take();
        self.fence = group::fencing_metadata(self.records.consumer());
        match (before, &self.fence) {
            (Some((_, before)), Some((_, now))) if before.member_id == now.member_id => {
                Continuity::SameMember
            }
            (None, _) => Continuity::SameMember,
            _ => Continuity::AnotherMember,
        }
    }

    /// The metadata to commit with; `None` while this member has no place in the group.
    pub(crate) fn fence(&self) -> Option<&ConsumerGroupMetadata> {
        self.fence.as_ref().map(|(metadata, _)| metadata)
    }

    pub(crate) fn has_joined(&self) -> bool {
        group::membership(self.records.consumer()).is_some()
    }

    /// Answers [`Rebalance::Assigned`]: fetching starts at these positions.
    pub(crate) fn assign(&self, positions: &[(i32, i64)]) -> Result<(), Error> {
        self.take_over(positions.iter().map(|(partition, _)| *partition));
        let list =
            self.list(positions.iter().map(|(partition, offset)| (*partition, Offset::Offset(*offset))));
        rebalance::assign(self.records.consumer(), &list).map_err(Error::Consumer)?;
        self.records.consumer().context().done();
        Ok(())
    }

    /// Answers [`Rebalance::Revoked`].
    pub(crate) fn unassign(&self, partitions: &[i32]) -> Result<(), Error> {
        rebalance::unassign(self.records.consumer(), &self.plain_list(partitions))
            .map_err(Error::Consumer)?;
        self.records.consumer().context().done();
        Ok(())
    }

    /// Fetches on from these positions; what was fetched ahead is dropped. A partition that has stopped fetching, as it
    /// does where its position is not in the log, cannot seek: it is assigned anew.
    pub(crate) fn seek(&self, positions: &[(i32, i64)]) -> KafkaResult<()> {
        let list =
            self.list(positions.iter().map(|(partition, offset)| (*partition, Offset::Offset(*offset))));
        let sought = self.records.consumer().seek_partitions(list, TIMEOUT)?;
        let failed = sought.elements().into_iter().filter(|element| element.error().is_err());
        let failed: Vec<i32> = failed.map(|element| element.partition()).collect();
        if failed.is_empty() {
            return Ok(());
        }
        // Refused where an attempt before this one got no further: then there is nothing to take away.
        let _ = rebalance::unassign(self.records.consumer(), &self.plain_list(&failed));
        self.take_over(failed.iter().copied());
        let again = positions.iter().filter(|(partition, _)| failed.contains(partition));
        let again = self.list(again.map(|(partition, offset)| (*partition, Offset::Offset(*offset))));
        rebalance::assign(self.records.consumer(), &again)
    }

    /// What is committed. While a transaction is open on an offset this waits for its end (KIP-447), so a dead peer's
    /// last transaction cannot slip in behind the answer.
    pub(crate) fn committed(&self, partitions: &[i32]) -> KafkaResult<Vec<Commit>> {
        let list = self.records.consumer().committed_offsets(self.plain_list(partitions), TIMEOUT)?;
        let commit = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            element.error()?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let partition = element.partition();
            // Whoever may commit to the group chose these bytes. What is not ours is no resume point, and refused as such.
            let metadata = service::kafka::metadata(&list, &self.topic, partition).unwrap_or_default();
            Ok(Commit { partition, offset, metadata: String::from_utf8_lossy(metadata).into_owned() })
        };
        list.elements().iter().map(commit).collect()
    }

    /// The offsets that the partition's log holds now.
    pub(crate) fn log_bounds(&self, partition: i32) -> KafkaResult<LogBounds> {
        let client = self.records.consumer().client();
        let (start, end) = service::kafka::watermarks(client, &self.topic, partition, TIMEOUT)?;
        Ok(LogBounds { start, end })
    }

    /// Up to where the consumer has read the partition: past control records too, which are never delivered.
    pub(crate) fn position(&self, partition: i32) -> Option<i64> {
        let positions = self.records.consumer().position().ok()?;
        match positions.find_partition(&self.topic, partition)?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Whether a broker answers, and has the topic.
    pub(crate) fn topic_is_there(&self) -> bool {
        let missing =
            service::kafka::missing_topics(self.records.consumer().client(), &[&self.topic], TIMEOUT);
        missing.is_ok_and(|missing| missing.is_empty())
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    fn list(&self, partitions: impl Iterator<Item = (i32, Offset)>) -> TopicPartitionList {
        rebalance::list_of(&self.topic, partitions)
    }

    fn plain_list(&self, partitions: &[i32]) -> TopicPartitionList {
        self.list(partitions.iter().map(|partition| (*partition, Offset::Invalid)))
    }
}

impl Drop for Group {
    /// Leaving the group waits for the answer to every rebalance.
    fn drop(&mut self) {
        self.records.consumer().context().close();
        while let Some(event) = self.next_rebalance() {
            let answer = match event {
                Rebalance::Assigned(partitions) => {
                    rebalance::assign(self.records.consumer(), &self.plain_list(&partitions))
                }
                Rebalance::Revoked(partitions) => {
                    rebalance::unassign(self.records.consumer(), &self.plain_list(&partitions))
                }
            };
            if let Err(error) = answer {
                tracing::debug!(%error, "a rebalance could not be answered while leaving");
            }
            self.records.consumer().context().done();
        }
    }
}
