//! The configuration that every client starts from, and where librdkafka's log lines go.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, KafkaResult};

use crate::config::{Config, GroupProtocol};

/// Other names of properties that have a default of ours: librdkafka takes whichever it sees last.
const ALIASES: [(&str, &str); 3] = [
    ("compression.codec", "compression.type"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("queue.buffering.max.ms", "linger.ms"),
];

fn client_config(config: &Config) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in &config.kafka.properties {
        let alias = ALIASES.iter().find(|(alias, _)| alias == name);
        client.set(alias.map_or(name.as_str(), |(_, name)| name), value);
    }
    client.set("bootstrap.servers", &config.kafka.bootstrap_servers);
    default_to(&mut client, "client.id", "pageview-pipeline");
    // A broker that comes back is found within a second, not within librdkafka's ten.
    default_to(&mut client, "reconnect.backoff.max.ms", "1000");
    // Brokers close idle connections; that is no news.
    default_to(&mut client, "log.connection.close", "false");
    default_to(&mut client, "socket.keepalive.enable", "true");
    client
}

/// Sets a property that `kafka.properties` may override: one that tunes, and that no guarantee rests on.
pub fn default_to(client: &mut ClientConfig, name: &str, value: &str) {
    if client.get(name).is_none() {
        client.set(name, value);
    }
}

/// Whether librdkafka knows every property of `kafka.properties`, and takes its value.
///
/// # Errors
/// Names the property and says why it is refused, without its value.
pub fn check_properties(config: &Config) -> Result<(), String> {
    let refused = match client_config(config).create_native_config() {
        Ok(_) => return Ok(()),
        Err(error) => without_value(error).to_string(),
    };
    let mend = if refused.contains("not available at build time") {
        " (this build has no TLS and SASL: build it with the feature kafka-tls)"
    } else {
        ""
    };
    Err(format!("{refused}{mend}"))
}

/// Makes a client. rdkafka's own error repeats the value that was refused, which may be a password.
///
/// # Errors
/// When librdkafka refuses a property, in words without its value.
pub fn create<C, T: FromClientConfigAndContext<C>>(client: &ClientConfig, context: C) -> KafkaResult<T>
where
    C: ClientContext,
{
    client.create_with_context(context).map_err(without_value)
}

fn without_value(error: KafkaError) -> KafkaError {
    match error {
        KafkaError::ClientConfig(_, description, name, _) => {
            KafkaError::ClientCreation(format!("kafka.properties.{name}: {description}"))
        }
        other => other,
    }
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
        .set("allow.auto.create.topics", "false");
    default_to(&mut client, "check.crcs", "true");
    // The default of a second stalls a consumer that is faster than its queue (DESIGN section 7).
    default_to(&mut client, "fetch.queue.backoff.ms", "1");
    match config.kafka.group_protocol {
        GroupProtocol::Classic => {
            client
                .set("group.protocol", "classic")
                .set("partition.assignment.strategy", "cooperative-sticky");
            default_to(&mut client, "session.timeout.ms", "10000");
        }
        GroupProtocol::Consumer => drop(client.set("group.protocol", "consumer")),
    }
    client
}

/// An idempotent producer whose records are acknowledged by all in-sync replicas.
#[must_use]
pub fn producer_config(config: &Config) -> ClientConfig {
    let mut client = client_config(config);
    client.set("acks", "all").set("enable.idempotence", "true").set("partitioner", model::topic::PARTITIONER);
    default_to(&mut client, "compression.type", "lz4");
    default_to(&mut client, "linger.ms", "1");
    client
}

/// A transactional producer of this `id`, whose transactions the broker aborts after `timeout`.
#[must_use]
pub fn transactional_config(config: &Config, id: &str, timeout: Duration) -> ClientConfig {
    let mut client = producer_config(config);
    client.set("transactional.id", id).set("transaction.timeout.ms", timeout.as_millis().to_string());
    // send_offsets_to_transaction hangs where the group's coordinator has died and left the metadata, whatever its timeout:
    // it looks for another one only when a connection changes its state (librdkafka issues 5511 and 5456). So those of an
    // idle producer are closed, which it is while it hangs, in time for the transaction.
    default_to(&mut client, "connections.max.idle.ms", "5000");
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with_properties(properties: &[(&str, &str)]) -> Config {
        let mut config = Config::from_environment(None, 0, []).unwrap();
        let owned = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config.kafka.properties = owned.collect();
        config
    }

    #[test]
    fn what_only_tunes_may_be_overridden_under_any_of_its_names() {
        let config = with_properties(&[("compression.codec", "zstd"), ("check.crcs", "false")]);
        assert_eq!(producer_config(&config).get("compression.type"), Some("zstd"));
        assert_eq!(producer_config(&config).get("compression.codec"), None);
        assert_eq!(consumer_config(&config, "g").get("check.crcs"), Some("false"));
        assert_eq!(consumer_config(&config, "g").get("isolation.level"), Some("read_committed"));
    }

    #[test]
    fn a_refused_property_is_named_and_its_value_is_not() {
        let error = check_properties(&with_properties(&[("no.such.password", "hunter2")])).unwrap_err();
        assert!(error.contains("no.such.password") && !error.contains("hunter2"), "{error}");
        assert_eq!(check_properties(&with_properties(&[("socket.timeout.ms", "30000")])), Ok(()));
    }
}
