//! One thread's transactional producer: results and offsets go out together, or not at all.

use std::time::Duration;

use model::PageviewAggregate;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use service::kafka::{Disposition, LogOnly};
use service::{Component, Config, Shutdown, clock};

use crate::dead_letter::DeadLetter;
use crate::error::Error;
use crate::windows::Flush;

/// How long one call may take before it is made again: short enough to say in health that it hangs.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a look for a broker may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at what has been delivered: a flush takes some tens of milliseconds.
const DELIVERY_PAUSE: Duration = Duration::from_micros(500);
/// After this long without an acknowledgement health tells of it.
const SLOW: Duration = Duration::from_secs(2);
/// Between two attempts of a call whose error did not take the time that it waited.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long a transaction may hang before the broker aborts it, and others wait for it at most.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What a thread commits for one partition.
pub(crate) struct PartitionFlush {
    pub(crate) partition: i32,
    pub(crate) flush: Flush,
    pub(crate) dead_letters: Vec<DeadLetter>,
}

/// How a transaction ended.
#[derive(Debug)]
#[must_use]
pub(crate) enum Outcome {
    Committed,
    /// Nothing of it happened: forget what was read since, and restore.
    Aborted(KafkaError),
}

/// A transactional producer.
pub(crate) struct Transactions {
    /// What a producer is made of.
    client: ClientConfig,
    producer: BaseProducer<Deliveries>,
    topics: Topics,
    health: Component,
    shutdown: Shutdown,
}

struct Topics {
    pageviews: String,
    aggregates: String,
    late: String,
    dead_letters: String,
}

impl Transactions {
    /// Fences and aborts whatever a predecessor with the same `id` left open. `None` if asked to stop first.
    pub(crate) fn start(
        config: &Config,
        id: &str,
        health: Component,
        shutdown: &Shutdown,
    ) -> Result<Option<Self>, Error> {
        let client = service::kafka::transactional_config(config, id, TRANSACTION_TIMEOUT);
        let producer = service::kafka::create(&client, Deliveries).map_err(Error::Client)?;
        let pipeline = &config.pipeline;
        let topics = Topics {
            pageviews: pipeline.pageviews_topic.clone(),
            aggregates: pipeline.aggregates_topic.clone(),
            late: pipeline.late_topic.clone(),
            dead_letters: pipeline.dead_letters_topic.clone(),
        };
        let this = Self { client, producer, topics, health, shutdown: shutdown.clone() };
        Ok(this.register()?.then_some(this))
    }

    /// Fences and aborts what another producer with this id left open. `false` if asked to stop first.
    fn register(&self) -> Result<bool, Error> {
        while !self.shutdown.requested() {
            match self.producer.init_transactions(TIMEOUT) {
                Ok(()) => return Ok(true),
                Err(error) if Disposition::of(&error) == Disposition::Retriable => {
                    self.bear("cannot register the producer", &error);
                }
                Err(source) => return Err(Error::Producer { call: "init_transactions", source }),
            }
        }
        Ok(false)
    }

    /// Commits all of `parts` in one transaction.
    pub(crate) fn commit(
        &mut self,
        parts: &[PartitionFlush],
        fence: &ConsumerGroupMetadata,
    ) -> Result<Outcome, Error> {
        match self.attempt(parts, fence) {
            Ok(()) => {
                self.health.up();
                Ok(Outcome::Committed)
            }
            Err(Failed { error, .. }) if Disposition::of(&error) == Disposition::Abort => {
                self.abort()?;
                Ok(Outcome::Aborted(error))
            }
            Err(Failed { call, error }) => Err(Error::Producer { call, source: error }),
        }
    }

    fn attempt(&self, parts: &[PartitionFlush], fence: &ConsumerGroupMetadata) -> Result<(), Failed> {
        let offsets = self.offsets(parts).map_err(Failed::during("offsets"))?;
        self.persist("begin_transaction", || self.producer.begin_transaction())?;
        for part in parts {
            self.send_rows(&self.topics.aggregates, &part.flush.rows)?;
            self.send_rows(&self.topics.late, &part.flush.late)?;
            for dead_letter in &part.dead_letters {
                self.send(dead_letter.to_record(&self.topics.dead_letters))?;
            }
        }
        self.drain();
        self.persist("send_offsets_to_transaction", || {
            self.producer.send_offsets_to_transaction(&offsets, fence, TIMEOUT)
        })?;
        // A commit that timed out may have happened: it is made again until Kafka says how it ended.
        self.persist("commit_transaction", || self.producer.commit_transaction(TIMEOUT))
    }

    fn abort(&mut self) -> Result<(), Error> {
        let aborted = self.persist("abort_transaction", || {
            self.serve();
            self.producer.abort_transaction(TIMEOUT)
        });
        match aborted {
            Err(Failed { error, .. }) if was_ended_by_the_broker(&error) => {
                tracing::warn!(%error, "the broker has ended the transaction by itself: going on with a new producer");
                self.producer = service::kafka::create(&self.client, Deliveries).map_err(Error::Client)?;
                // Without it, where we are asked to stop, there is nothing more to commit: what was read is forgotten.
                self.register().map(drop)
            }
            aborted => aborted.map_err(|Failed { call, error }| Error::Producer { call, source: error }),
        }
    }

    fn send_rows(&self, topic: &str, rows: &[PageviewAggregate]) -> Result<(), Failed> {
        rows.iter().try_for_each(|row| {
            self.send(BaseRecord::to(topic).key(row.postcode.as_bytes()).payload(&row.to_json()))
        })
    }

    fn send<K: ToBytes + ?Sized, V: ToBytes + ?Sized>(
        &self,
        record: BaseRecord<'_, K, V>,
    ) -> Result<(), Failed> {
        let mut record = record;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, unsent)) if Disposition::of(&error) == Disposition::Retriable => {
                    record = unsent;
                    self.serve();
                    pause(DELIVERY_PAUSE);
                }
                Err((error, _)) => return Err(Failed { call: "send", error }),
            }
        }
    }

    /// Waits until Kafka has answered for every record. Ends within the transaction's timeout, after which librdkafka
    /// gives records up.
    fn drain(&self) {
        let started = clock::monotonic();
        self.serve();
        while self.producer.in_flight_count() > 0 {
            pause(DELIVERY_PAUSE);
            self.serve();
            if started.elapsed() > SLOW {
                self.health.down("cannot commit results: their records are not acknowledged");
            }
        }
    }

    /// Takes in what has been delivered. `BaseProducer::poll` runs until its timeout is over, delivered or not, and
    /// `flush` polls in slices of 100 ms: neither waits for the last answer only.
    fn serve(&self) {
        let mut before = i32::MAX;
        while self.producer.in_flight_count() < before {
            before = self.producer.in_flight_count();
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Makes the same call again for as long as that is what its error asks for.
    fn persist(&self, call: &'static str, attempt: impl Fn() -> KafkaResult<()>) -> Result<(), Failed> {
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(error) if Disposition::of(&error) == Disposition::Retriable => {
                    self.bear(&format!("cannot commit results: {call}"), &error);
                    pause(RETRY_PAUSE);
                }
                Err(error) => return Err(Failed { call, error }),
            }
        }
    }

    /// Tells of an error that asks for patience, and whether a broker answers at all: a producer that has lost its cluster
    /// gets back by being asked for it.
    fn bear(&self, trouble: &str, error: &KafkaError) {
        self.health.down(format!("{trouble}: {error}"));
        if !service::kafka::reaches(self.producer.client(), LOOK_TIMEOUT) {
            self.health.down(format!("{trouble}: {error}, and no broker answers"));
        }
    }

    fn offsets(&self, parts: &[PartitionFlush]) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(parts.len());
        for PartitionFlush { partition, flush, .. } in parts {
            let mut element = list.add_partition(&self.topics.pageviews, *partition);
            element.set_offset(Offset::Offset(flush.offset))?;
            element.set_metadata(flush.resume_point.to_string());
        }
        Ok(list)
    }
}

/// Whether there is no transaction to abort any more, since its time was over while the broker was away: librdkafka takes
/// that for fatal. A producer that was fenced is told something else.
fn was_ended_by_the_broker(error: &KafkaError) -> bool {
    let KafkaError::Transaction(error) = error else { return false };
    error.code() == RDKafkaErrorCode::InvalidTransactionalState
}

/// A call that failed for good, or at least for this transaction.
struct Failed {
    call: &'static str,
    error: KafkaError,
}

impl Failed {
    fn during(call: &'static str) -> impl Fn(KafkaError) -> Self {
        move |error| Self { call, error }
    }
}

#[expect(clippy::disallowed_methods, reason = "librdkafka has no call that waits for the last delivery only")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Notes deliveries that failed; the commit fails with them, but cannot say why.
struct Deliveries;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        LogOnly.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        LogOnly.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            tracing::debug!(%error, "a record was not delivered");
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
    use service::Health;

    use super::*;

    type Cluster = MockCluster<'static, DefaultProducerContext>;

    fn started() -> (Cluster, Transactions) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("out", 1, 1).unwrap();
        let mut config = Config::load(None, 0).unwrap();
        config.kafka.bootstrap_servers = cluster.bootstrap_servers();
        let health = Health::default().component("kafka");
        let started = Transactions::start(&config, "id", health, &Shutdown::new()).unwrap();
        (cluster, started.unwrap())
    }

    fn begin(transactions: &Transactions) {
        transactions.producer.begin_transaction().unwrap();
        assert!(transactions.send(BaseRecord::to("out").key("k").payload("v")).is_ok());
        transactions.drain();
    }

    #[test]
    fn a_transaction_that_the_broker_has_ended_by_itself_is_over_and_the_next_one_commits() {
        let (cluster, mut transactions) = started();
        begin(&transactions);
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE]);
        transactions.abort().unwrap();
        begin(&transactions);
        transactions.producer.commit_transaction(TIMEOUT).unwrap();
    }

    #[test]
    fn a_producer_that_was_fenced_cannot_go_on() {
        let (cluster, mut transactions) = started();
        begin(&transactions);
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
        assert!(transactions.abort().is_err());
    }
}
