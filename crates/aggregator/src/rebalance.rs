//! Rebalances as events: librdkafka's callback only notes them, the thread that polls acts on them.
//!
//! The callback runs inside `poll` and cannot reach the windows. librdkafka lets an application answer later: the group
//! waits, this member keeps its place, and the next event comes only after the answer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use service::kafka::LogOnly;

/// Something the group asks of this member, to be answered with [`assign`] or [`unassign`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rebalance {
    /// These partitions in addition; none at all is an answer, too.
    Assigned(Vec<i32>),
    /// These partitions no longer.
    Revoked(Vec<i32>),
}

/// A consumer's context that notes rebalances.
#[derive(Default)]
pub(crate) struct Rebalances {
    waiting: Mutex<VecDeque<Rebalance>>,
    /// Nobody acts on events any more: the callback answers by itself, as closing waits for the answer.
    closing: AtomicBool,
}

impl Rebalances {
    /// The event to answer next.
    pub(crate) fn next(&self) -> Option<Rebalance> {
        self.waiting().front().cloned()
    }

    /// The event is answered.
    pub(crate) fn done(&self) {
        self.waiting().pop_front();
    }

    /// The thread leaves.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Rebalances {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        LogOnly.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        LogOnly.error(error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = list.elements().iter().map(|element| element.partition()).collect();
        let assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            let answer = if assigned { assign(consumer, list) } else { unassign(consumer, list) };
            if let Err(error) = answer {
                tracing::debug!(%error, "a rebalance while leaving could not be answered");
            }
        } else if assigned {
            self.waiting().push_back(Rebalance::Assigned(partitions));
        } else {
            self.waiting().push_back(Rebalance::Revoked(partitions));
        }
    }
}

/// Answers [`Rebalance::Assigned`].
pub(crate) fn assign<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(list),
    }
}

/// Answers [`Rebalance::Revoked`].
pub(crate) fn unassign<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    }
}

/// `partitions` of `topic`, each with the offset to start at if there is one.
pub(crate) fn list_of(
    topic: &str,
    partitions: impl IntoIterator<Item = (i32, Offset)>,
) -> TopicPartitionList {
    partitions.into_iter().map(|(partition, offset)| (topic.to_owned(), partition, offset)).collect()
}
