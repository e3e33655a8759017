//! What ends the aggregator: everything else is waited out, or repaired by restoring from what is committed.

use rdkafka::error::KafkaError;

use crate::resume_point::InvalidResumePoint;

/// Why the aggregator cannot go on. Its supervisor restarts it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A consumer or producer could not be made: its configuration is wrong.
    #[error("cannot make a Kafka client: {0}")]
    Client(#[source] KafkaError),
    /// Offsets expired, or the group id is new, while its results are still there.
    #[error(
        "group {group} has no committed offset, but {topic} has rows: to count all retained events (again) start \
         once with --from-beginning"
    )]
    WouldCountAgain {
        /// The consumer group.
        group: String,
        /// The first output topic found to have rows.
        topic: String,
    },
    /// Another version's metadata must not be guessed at.
    #[error("the commit of {topic}/{partition} was written by another program: {source}")]
    Metadata {
        /// The topic of events.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is wrong with it.
        source: InvalidResumePoint,
    },
    /// The consumer is of no more use: the group's configuration is refused, or another member has its instance id.
    #[error("the consumer cannot go on: {0}")]
    Consumer(#[source] KafkaError),
    /// The producer is of no more use: mostly because another producer has its transactional id by now.
    #[error("the producer cannot go on, in {call}: {source}")]
    Producer {
        /// The call that failed.
        call: &'static str,
        /// Why.
        source: KafkaError,
    },
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}
