//! The Kafka producer: hands events over, and hears for each whether all in-sync replicas have it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use service::kafka::{LogOnly, create, partition_count, producer_config, wait_for_topics};
use service::{Component, Process, Shutdown};
use tokio::sync::watch;

use crate::delivery::{Budget, Countdown};
use crate::handover::{Delivery, Flight, Topic};
use crate::metrics;
use crate::request::Event;

/// What librdkafka and we keep beside the bytes of an event, about.
const OVERHEAD: usize = 256;
/// How often librdkafka tells about its queue and its brokers.
const STATISTICS_MS: &str = "5000";
/// The pause between two looks at the cluster.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What a look has found is true for so long: the next one may hang.
const HEALTH_IS_GOOD_FOR: Duration = Duration::from_secs(30);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Producer {
    // Before the client, which it belongs to.
    topic: Arc<Topic>,
    name: Arc<str>,
    kafka: Arc<ThreadedProducer<Callbacks>>,
    budget: Arc<Budget>,
    fatal: watch::Receiver<Option<FatalError>>,
}

/// The producer cannot go on: only a new one can.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the Kafka producer failed for good: {0}")]
pub(crate) struct FatalError(String);

/// More bytes are in flight than `ingest.max_in_flight_bytes` allows.
#[derive(Debug)]
pub(crate) struct Overloaded;

struct Callbacks {
    fatal: watch::Sender<Option<FatalError>>,
}

impl Producer {
    pub(crate) fn start(process: &Process) -> KafkaResult<Self> {
        let config = &process.config;
        let (sender, fatal) = watch::channel(None);
        let limit = config.ingest.max_in_flight_bytes.0;
        let mut client = producer_config(config);
        client
            // Never: an expired message makes librdkafka renumber the rest under a new epoch, and those that the
            // broker already has are stored twice. The request has a deadline, the message has none.
            .set("message.timeout.ms", "0")
            .set("statistics.interval.ms", STATISTICS_MS)
            // The budget is the bound; librdkafka's own must not be hit before it.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", (limit / 1024 * 2).max(64 * 1024).to_string());
        let kafka: ThreadedProducer<_> = create(&client, Callbacks { fatal: sender })?;
        let name = config.pipeline.pageviews_topic.as_str();
        let producer = Self {
            topic: Arc::new(Topic::new(kafka.client(), name)?),
            name: name.into(),
            kafka: Arc::new(kafka),
            budget: Budget::new(limit),
            fatal,
        };
        let (watched, health, shutdown) = (
            producer.clone(),
            process.health.component("kafka").good_for(HEALTH_IS_GOOD_FOR),
            process.shutdown.clone(),
        );
        std::thread::Builder::new()
            .name("kafka-health".to_owned())
            .spawn(move || watched.watch_cluster(&health, &shutdown))
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(producer)
    }

    /// Whether a request whose body has so many bytes could be handed over now.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.budget.has_room(bytes as u64)
    }

    /// Hands `events` to librdkafka; what returns tells when Kafka has answered for all.
    pub(crate) fn send(&self, events: &[Event<'_>]) -> Result<Arc<Flight>, Overloaded> {
        let size = |event: &Event<'_>| event.value.len() + event.postcode.as_bytes().len() + OVERHEAD;
        let bytes = events.iter().map(size).sum::<usize>() as u64;
        let reservation = self.budget.reserve(bytes).ok_or(Overloaded)?;
        let countdown = Countdown::new(events.len(), reservation);
        Ok(Flight::start(&self.topic, events, countdown, metrics::delivery_failed))
    }

    /// Bytes handed over and not answered for.
    pub(crate) fn in_flight_bytes(&self) -> u64 {
        self.budget.used()
    }

    /// Returns when the producer has failed for good.
    pub(crate) async fn fatal(&self) -> FatalError {
        let mut fatal = self.fatal.clone();
        match fatal.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or_else(|| FatalError("unknown".to_owned())),
            // The callbacks live as long as the producer does, and we hold it.
            Err(_closed) => std::future::pending().await,
        }
    }

    /// Waits until Kafka has answered for everything. rdkafka's own `flush` would take answers in a second thread, and
    /// [`Delivery::settle`] is for one.
    pub(crate) async fn flush(&self, within: Duration) -> anyhow::Result<()> {
        let answered = async {
            while self.in_flight_bytes() > 0 {
                moment().await;
            }
        };
        tokio::time::timeout(within, answered).await.context("Kafka does not answer")
    }

    fn watch_cluster(&self, health: &Component, shutdown: &Shutdown) {
        let client = self.kafka.client();
        while wait_for_topics(client, &[self.name.as_ref()], health, shutdown) {
            while !shutdown.requested()
                && let Ok(Some(partitions)) = partition_count(client, &self.name, LOOK_EVERY)
            {
                health.up();
                self.topic.set_partitions(i32::try_from(partitions).unwrap_or(0));
                pause();
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "looks at a count while the process ends")]
async fn moment() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

#[expect(clippy::disallowed_methods, reason = "polls a system that announces nothing")]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        LogOnly.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.fatal.send_replace(Some(FatalError(reason.to_owned())));
        }
        LogOnly.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        metrics::producer_queue(statistics.msg_cnt, statistics.msg_size);
        // Those with an id below zero are addresses that the brokers were found by.
        for broker in statistics.brokers.values().filter(|broker| broker.nodeid >= 0) {
            metrics::broker(broker.nodeid, broker.state == "UP");
        }
    }
}

impl ProducerContext for Callbacks {
    type DeliveryOpaque = Delivery;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Self::DeliveryOpaque) {
        if let Err((error, _)) = result {
            metrics::delivery_failed(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown));
        }
        delivery.settle(result.is_ok());
    }
}
