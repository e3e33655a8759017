//! Sending to Kafka in transactions: all records of one or none, and with them the offsets that say they were sent.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use service::clock::monotonic;
use service::kafka::Disposition;
use service::{Config, kafka};

use crate::kafka::{LastWords, TIMEOUT};
use crate::verdict::Unreachable;

/// How long a call is made again that Kafka cannot answer for the moment.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts of a call whose error came at once.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long readers of the topic wait for us if we die in a transaction.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// A transactional producer. Its own thread takes in what Kafka answers.
pub(crate) struct Transactions {
    producer: ThreadedProducer<LastWords>,
    servers: String,
}

/// A record to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: OwnedHeaders,
}

/// How far a group has come once a transaction is committed.
pub(crate) struct Position {
    pub(crate) offsets: TopicPartitionList,
    pub(crate) group: ConsumerGroupMetadata,
}

impl Transactions {
    /// Begins as the one producer of this `id`: a transaction that another one has open is aborted, and it can send
    /// nothing more.
    ///
    /// # Errors
    /// When Kafka does not answer, or refuses.
    pub(crate) fn start(config: &Config, id: &str) -> anyhow::Result<Self> {
        let client = kafka::transactional_config(config, id, TRANSACTION_TIMEOUT);
        let producer = kafka::create(&client, LastWords::default())?;
        let this = Self { producer, servers: config.kafka.bootstrap_servers.clone() };
        this.persist("register a producer", || this.producer.init_transactions(TIMEOUT))?;
        Ok(this)
    }

    /// Sends `records` to `topic`, and `position` with them.
    ///
    /// # Errors
    /// When nothing of it was sent; where Kafka has stopped answering, it may have been.
    pub(crate) fn commit(
        &self,
        topic: &str,
        records: &[Outgoing],
        position: Option<&Position>,
    ) -> anyhow::Result<()> {
        let attempt = self.attempt(topic, records, position);
        if attempt.is_err() {
            // It may be fenced, or Kafka away: then the broker aborts it by itself.
            drop(self.producer.abort_transaction(TIMEOUT));
        }
        Ok(attempt?)
    }

    fn attempt(
        &self,
        topic: &str,
        records: &[Outgoing],
        position: Option<&Position>,
    ) -> Result<(), Unreachable> {
        self.persist("begin a transaction", || self.producer.begin_transaction())?;
        for Outgoing { key, value, headers } in records {
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).headers(headers.clone());
            (record.key, record.payload) = (key.as_deref(), value.as_deref());
            self.send(record)?;
        }
        if let Some(Position { offsets, group }) = position {
            self.persist("send offsets", || {
                self.producer.send_offsets_to_transaction(offsets, group, TIMEOUT)
            })?;
        }
        // A commit that timed out may have happened: it is made again until Kafka says how it ended.
        self.persist("commit", || self.producer.commit_transaction(TIMEOUT))
    }

    fn send<'a>(&self, mut record: BaseRecord<'a, [u8], [u8]>) -> Result<(), Unreachable> {
        let deadline = monotonic() + PATIENCE;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                // Its queue is full: its thread empties it.
                Err((error, unsent))
                    if Disposition::of(&error) == Disposition::Retriable && monotonic() < deadline =>
                {
                    record = unsent;
                    pause();
                }
                Err((error, _)) => return Err(self.failed("send", &error)),
            }
        }
    }

    /// Makes the same call again for as long as that is what its error asks for.
    fn persist(&self, what: &str, attempt: impl Fn() -> KafkaResult<()>) -> Result<(), Unreachable> {
        let deadline = monotonic() + PATIENCE;
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(error) if Disposition::of(&error) == Disposition::Retriable && monotonic() < deadline => {
                    pause();
                }
                Err(error) => return Err(self.failed(what, &error)),
            }
        }
    }

    fn failed(&self, what: &str, error: &KafkaError) -> Unreachable {
        Unreachable(format!(
            "Kafka at {} does not let us {what}: {error}; what was to be sent is sent wholly or not at all: run the command again",
            self.servers
        ))
    }
}

impl ProducerContext for LastWords {
    type DeliveryOpaque = ();

    /// A record that was not delivered fails the commit.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[expect(clippy::disallowed_methods, reason = "the pause between two attempts is a pause")]
fn pause() {
    std::thread::sleep(RETRY_PAUSE);
}
