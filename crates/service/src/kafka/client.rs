//! The configuration that every client starts from, and where librdkafka's log lines go.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use crate::config::{Config, GroupProtocol};

fn client_config(config: &Config) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("client.id", "pageview-pipeline")
        // A broker that comes back is found within a second, not within librdkafka's ten.
        .set("reconnect.backoff.max.ms", "1000")
        // Brokers close idle connections; that is no news.
        .set("log.connection.close", "false")
        .set("socket.keepalive.enable", "true");
    for (name, value) in &config.kafka.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.kafka.bootstrap_servers);
    client
}

/// A consumer of group `group` that sees committed records only and leaves every commit to us.
#[must_use]
pub fn consumer_config(config: &Config, group: &str) -> ClientConfig {
    let mut client = client_config(config);
    client
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("check.crcs", "true")
        // The default of a second stalls a consumer that is faster than its queue (DESIGN section 7).
        .set("fetch.queue.backoff.ms", "1");
    match config.kafka.group_protocol {
        GroupProtocol::Classic => client
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000"),
        GroupProtocol::Consumer => client.set("group.protocol", "consumer"),
    };
    client
}

/// An idempotent producer whose records are acknowledged by all in-sync replicas.
#[must_use]
pub fn producer_config(config: &Config) -> ClientConfig {
    let mut client = client_config(config);
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", model::topic::PARTITIONER)
        .set("compression.type", "lz4")
        .set("linger.ms", "1");
    client
}

/// A context that logs, each line once: librdkafka reports an error of a broker both as log line and as error.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOnly;

impl ClientContext for LogOnly {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for LogOnly {}

fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, "librdkafka: {line}");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => tracing::info!(facility, "librdkafka: {line}"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "librdkafka: {line}"),
    }
}
