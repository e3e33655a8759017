//! A look into the topics without any of our own clients: as somebody with another consumer sees them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use stack::Stack;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What a reader sees of transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    Committed,
    Uncommitted,
}

/// Reads all that is committed in `topic`, from its beginning to its end: `each` adds a record to `to`.
///
/// # Errors
/// When Kafka does not answer, or `each` fails.
pub async fn read<T: Send + 'static>(
    stack: &Stack,
    topic: &'static str,
    to: T,
    each: impl FnMut(&mut T, &BorrowedMessage<'_>) -> Result<()> + Send + 'static,
) -> Result<T> {
    let consumer = consumer(stack, Isolation::Committed)?;
    let read = tokio::task::spawn_blocking(move || read_all(&consumer, topic, to, each));
    read.await?.with_context(|| format!("cannot read {topic}"))
}

fn read_all<T>(
    consumer: &BaseConsumer,
    topic: &str,
    mut to: T,
    mut each: impl FnMut(&mut T, &BorrowedMessage<'_>) -> Result<()>,
) -> Result<T> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut unread: BTreeSet<i32> = partitions.map(|partition| partition.id()).collect();
    let assigned = unread.iter().map(|partition| (topic.to_owned(), *partition, Offset::Beginning));
    consumer.assign(&assigned.collect::<TopicPartitionList>())?;
    while !unread.is_empty() {
        match consumer.poll(TIMEOUT) {
            Some(Ok(message)) => each(&mut to, &message)?,
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(unread.remove(&partition)),
            Some(Err(error)) => return Err(error.into()),
            None => bail!("nothing came within {TIMEOUT:?}"),
        }
    }
    Ok(to)
}

/// The ends of a topic's partitions: where the log ends, and up to where readers of committed records get.
pub struct Ends {
    uncommitted: BaseConsumer,
    committed: BaseConsumer,
    topic: &'static str,
    partitions: i32,
}

impl Ends {
    /// A look at the first so many `partitions` of `topic`.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn of(stack: &Stack, topic: &'static str, partitions: i32) -> Result<Self> {
        let (uncommitted, committed) =
            (consumer(stack, Isolation::Uncommitted)?, consumer(stack, Isolation::Committed)?);
        Ok(Self { uncommitted, committed, topic, partitions })
    }

    /// The partitions in which a transaction is open. Takes a millisecond or two for each.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn open(&self) -> Result<BTreeSet<i32>> {
        let end = |consumer: &BaseConsumer, partition| {
            consumer.fetch_watermarks(self.topic, partition, TIMEOUT).map(|(_, end)| end)
        };
        let mut open = BTreeSet::new();
        for partition in 0..self.partitions {
            // In this order: a transaction that is committed in between closes the gap, and never makes one.
            let whole = end(&self.uncommitted, partition)?;
            if end(&self.committed, partition)? < whole {
                open.insert(partition);
            }
        }
        Ok(open)
    }
}

/// A consumer without a group.
fn consumer(stack: &Stack, isolation: Isolation) -> Result<BaseConsumer> {
    let isolation = match isolation {
        Isolation::Committed => "read_committed",
        Isolation::Uncommitted => "read_uncommitted",
    };
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka_bootstrap())
        // Nobody ever joins it, but librdkafka wants a name.
        .set("group.id", "e2e")
        .set("isolation.level", isolation)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .create()?;
    Ok(consumer)
}
