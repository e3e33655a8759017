//! Asking Kafka: a client whose errors say where it looked and what it heard there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use service::clock::monotonic;
use service::{Config, kafka};

use crate::progress;
use crate::verdict::Unreachable;

/// How long one question may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// How long one look for a broker may take before the operator is told that we are waiting.
const GLANCE: Duration = Duration::from_secs(1);

/// The cluster of the configuration, seen by a consumer that joins no group and reads nothing.
pub(crate) struct Cluster {
    consumer: BaseConsumer<LastWords>,
    servers: String,
}

impl Cluster {
    /// Prepares a client; does not yet connect.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let mut client = kafka::consumer_config(config, &config.pipeline.group_id);
        // Without this rdkafka takes the level of the log crate, which nobody has turned on.
        client.set_log_level(RDKafkaLogLevel::Warning);
        let consumer = client.create_with_context(LastWords::default())?;
        Ok(Self { consumer, servers: config.kafka.bootstrap_servers.clone() })
    }

    /// All topics and brokers, as soon as a broker answers, within `wait`.
    pub(crate) fn metadata(&self, wait: Duration) -> Result<Metadata, Unreachable> {
        let deadline = monotonic() + wait;
        let mut glance = self.consumer.fetch_metadata(None, GLANCE.min(wait));
        if glance.is_err() && monotonic() < deadline {
            progress::say(format_args!("waiting for Kafka at {}", self.servers));
        }
        while glance.is_err() && monotonic() < deadline {
            glance = self.consumer.fetch_metadata(None, GLANCE.min(until(deadline)));
        }
        glance.map_err(|error| self.unreachable(wait, &error.to_string()))
    }

    fn unreachable(&self, wait: Duration, error: &str) -> Unreachable {
        // librdkafka's log lines are in its main queue. Without assignment there is nothing else in it.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        let heard = self.consumer.context().get().unwrap_or_else(|| error.to_owned());
        Unreachable(format!(
            "Kafka at {} does not answer within {wait:?}: {heard}\n  Is it running, and is kafka.bootstrap_servers \
             (PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS) right?",
            self.servers
        ))
    }

    /// A question that was not answered, though Kafka was there before.
    pub(crate) fn refused(&self, error: &KafkaError) -> Unreachable {
        Unreachable(format!("Kafka at {} cannot tell: {error}", self.servers))
    }
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(monotonic())
}

/// Keeps librdkafka's latest complaint instead of logging each: a client that cannot connect repeats itself.
#[derive(Clone, Default)]
pub(crate) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for LastWords {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, line: &str) {
        if level as i32 > RDKafkaLogLevel::Warning as i32 {
            return;
        }
        // "[thrd:localhost:9092/bootstrap]: localhost:9092/bootstrap: Connect to …": the thread is no news.
        let line = line.split_once("]: ").map_or(line, |(_, words)| words);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.to_owned());
    }
}

impl ConsumerContext for LastWords {}
