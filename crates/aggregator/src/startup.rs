//! What must be true before the first record is read.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use service::kafka::{Disposition, LogOnly};
use service::{Component, Config, Shutdown, clock};

use crate::error::Error;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Waits for Kafka and the topics, and refuses to count twice; `false` if asked to stop first.
pub(crate) fn check(
    config: &Config,
    from_beginning: bool,
    health: &Component,
    shutdown: &Shutdown,
) -> Result<bool, Error> {
    let pipeline = &config.pipeline;
    let mut client = service::kafka::consumer_config(config, &pipeline.group_id);
    client.set("enable.partition.eof", "true");
    let consumer: BaseConsumer<LogOnly> = service::kafka::create(&client, LogOnly).map_err(Error::Client)?;
    let topics = [
        &*pipeline.pageviews_topic,
        &*pipeline.aggregates_topic,
        &*pipeline.late_topic,
        &*pipeline.dead_letters_topic,
    ];
    while service::kafka::wait_for_topics(consumer.client(), &topics, health, shutdown) {
        if from_beginning {
            return Ok(true);
        }
        match counted_before(&consumer, config) {
            Ok(None) => return Ok(true),
            Ok(Some(topic)) => {
                return Err(Error::WouldCountAgain { group: pipeline.group_id.clone(), topic });
            }
            Err(error) if Disposition::of(&error) == Disposition::Fatal => {
                return Err(Error::Consumer(error));
            }
            Err(error) => {
                health.down(format!("cannot tell whether events were counted before: {error}"));
                pause();
            }
        }
    }
    Ok(false)
}

#[expect(clippy::disallowed_methods, reason = "an error may come at once, and again")]
fn pause() {
    std::thread::sleep(Duration::from_millis(500));
}

/// The output topic that has rows although the group has no commit. Rows and commits come in the same transaction, so
/// that cannot be unless the commits are gone; they are looked at again in case another process has just begun.
fn counted_before(consumer: &BaseConsumer<LogOnly>, config: &Config) -> KafkaResult<Option<String>> {
    let pipeline = &config.pipeline;
    if has_commits(consumer, &pipeline.pageviews_topic)? {
        return Ok(None);
    }
    for topic in [&pipeline.aggregates_topic, &pipeline.late_topic] {
        if has_records(consumer, topic)? && !has_commits(consumer, &pipeline.pageviews_topic)? {
            return Ok(Some(topic.clone()));
        }
    }
    Ok(None)
}

fn has_commits(consumer: &BaseConsumer<LogOnly>, topic: &str) -> KafkaResult<bool> {
    let commits = consumer.committed_offsets(partitions_of(consumer, topic, Offset::Invalid)?, TIMEOUT)?;
    commits.elements().iter().try_for_each(|element| element.error())?;
    Ok(commits.elements().iter().any(|element| matches!(element.offset(), Offset::Offset(_))))
}

/// Whether a committed record is there: offsets alone do not say, as aborted transactions take some, too.
fn has_records(consumer: &BaseConsumer<LogOnly>, topic: &str) -> KafkaResult<bool> {
    let partitions = partitions_of(consumer, topic, Offset::Beginning)?;
    let mut unread: BTreeSet<i32> = partitions.elements().iter().map(|element| element.partition()).collect();
    consumer.assign(&partitions)?;
    let started = clock::monotonic();
    let mut trouble = KafkaError::NoMessageReceived;
    let found = loop {
        if unread.is_empty() {
            break Ok(false);
        }
        let left = TIMEOUT.saturating_sub(started.elapsed());
        match consumer.poll(left) {
            Some(Ok(_)) => break Ok(true),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.remove(&partition);
            }
            // Every failure to connect since the process started waits here to be read: only the time says whether the
            // brokers are away now.
            Some(Err(error)) if Disposition::of(&error) != Disposition::Fatal && !left.is_zero() => {
                trouble = error
            }
            Some(Err(error)) => break Err(error),
            None if left.is_zero() => break Err(trouble),
            None => {}
        }
    };
    consumer.unassign()?;
    found
}

fn partitions_of(
    consumer: &BaseConsumer<LogOnly>,
    topic: &str,
    offset: Offset,
) -> KafkaResult<TopicPartitionList> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition.id(), offset)?;
    }
    Ok(list)
}

/// Warns where a topic stamps records with the time of appending: then a topic that is copied to another cluster looks
/// as if its events were all late or behind, and the same records no longer replay to the same counts.
pub(crate) async fn check_timestamps(config: &Config) {
    let topic = &*config.pipeline.pageviews_topic;
    match timestamp_type(config, topic).await {
        Ok(Some(kind)) if kind != "CreateTime" => {
            tracing::warn!(topic, kind, "set message.timestamp.type=CreateTime on this topic");
        }
        Ok(_) => {}
        Err(error) => tracing::info!(%error, topic, "cannot tell whether the topic has CreateTime"),
    }
}

async fn timestamp_type(config: &Config, topic: &str) -> KafkaResult<Option<String>> {
    let admin: AdminClient<LogOnly> = service::kafka::producer_config(config).create_with_context(LogOnly)?;
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
    let answers = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options).await?;
    let entries = answers.into_iter().flatten().flat_map(|resource| resource.entries);
    let mut values = entries.filter(|entry| entry.name == "message.timestamp.type");
    Ok(values.next().and_then(|entry| entry.value))
}
