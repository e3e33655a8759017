//! Asks Kafka how far everybody has come, by their commits: also those who are away have one.

use std::thread;
use std::time::Duration;

use aggregator::resume_point::ResumePoint;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use s3_sink::Kind;
use s3_sink::hint::Hint;
use service::Config;
use service::kafka::{consumer_config, metadata, watermarks};
use tokio::sync::watch;

use super::Eyes;
use super::ledger::Hints;
use super::picture::{Seen, Waiting};
use crate::audit::topics;

/// How long one question may take, and between two looks.
const TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(2);

/// Looks in a thread of its own, for as long as `eyes` are open; tells whoever follows the ledger what the sink's
/// commits say of it.
pub(super) fn start(config: Config, hints: watch::Sender<Hints>, eyes: Eyes) {
    thread::spawn(move || {
        let mut clients = None;
        while !eyes.is_closed() {
            let seen = look(&config, &mut clients);
            if seen.is_err() {
                // Whatever has become of the topics, the next look begins anew.
                clients = None;
            }
            let seen = seen.map(|(waiting, seen)| {
                hints.send_if_modified(|hints| std::mem::replace(hints, seen.clone()) != seen);
                waiting
            });
            let _ = eyes.send(Seen::Waiting(seen.map_err(words)));
            pause();
        }
    });
}

/// A client for each group, none of which joins it.
struct Clients {
    aggregator: BaseConsumer,
    writers: Vec<(Kind, BaseConsumer, TopicPartitionList)>,
}

fn look(config: &Config, clients: &mut Option<Clients>) -> KafkaResult<(Waiting, Hints)> {
    let clients = match clients {
        Some(clients) => clients,
        None => clients.insert(Clients::connect(config)?),
    };
    let (mut waiting, mut hints) = (Waiting::default(), Hints::default());
    for (kind, consumer, partitions) in &clients.writers {
        let ends = ends(consumer, partitions)?;
        let committed = consumer.committed_offsets(partitions.clone(), TIMEOUT)?;
        let mut behind = 0;
        for (topic, partition, (start, end)) in &ends {
            let position = offset(&committed, topic, *partition);
            behind += end - position.unwrap_or(*start).clamp(*start, *end);
            let said = metadata(&committed, topic, *partition).unwrap_or_default();
            let said = position.and_then(|offset| Hint::parse(offset, &String::from_utf8_lossy(said)));
            hints.extend(said.map(|hint| ((*kind, *partition), hint)));
        }
        waiting.writers.insert(*kind, behind.unsigned_abs());
        if *kind == Kind::Raw {
            waiting.aggregator = unread(&clients.aggregator, partitions, &ends)?;
        }
    }
    Ok((waiting, hints))
}

/// A partition of a topic, and where its log begins and ends.
type Ends = Vec<(String, i32, (i64, i64))>;

fn ends(consumer: &BaseConsumer, partitions: &TopicPartitionList) -> KafkaResult<Ends> {
    let end = |topic: &str, partition| watermarks(consumer.client(), topic, partition, TIMEOUT);
    let elements = partitions.elements();
    let ends = elements
        .iter()
        .map(|it| Ok((it.topic().to_owned(), it.partition(), end(it.topic(), it.partition())?)));
    ends.collect()
}

/// How many events the aggregator has not read. It commits the first one that an open window needs, and beside it how far
/// it has read.
fn unread(consumer: &BaseConsumer, partitions: &TopicPartitionList, ends: &Ends) -> KafkaResult<u64> {
    let committed = consumer.committed_offsets(partitions.clone(), TIMEOUT)?;
    let behind = ends.iter().map(|(topic, partition, (start, end))| {
        let said = metadata(&committed, topic, *partition).unwrap_or_default();
        let point = String::from_utf8_lossy(said).parse::<ResumePoint>().map(|point| point.next);
        let position = point.ok().or_else(|| offset(&committed, topic, *partition)).unwrap_or(*start);
        end - position.clamp(*start, *end)
    });
    Ok(behind.sum::<i64>().unsigned_abs())
}

fn offset(committed: &TopicPartitionList, topic: &str, partition: i32) -> Option<i64> {
    match committed.find_partition(topic, partition)?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

impl Clients {
    fn connect(config: &Config) -> KafkaResult<Self> {
        let aggregator: BaseConsumer = consumer_config(config, &config.pipeline.group_id).create()?;
        let metadata = aggregator.fetch_metadata(None, TIMEOUT)?;
        let mut writers = Vec::new();
        for (kind, name) in topics(&config.pipeline) {
            let mut partitions = TopicPartitionList::new();
            for topic in metadata.topics().iter().filter(|topic| topic.name() == name) {
                for partition in topic.partitions() {
                    partitions.add_partition(&name, partition.id());
                }
            }
            writers.push((kind, consumer_config(config, kind.group_id()).create()?, partitions));
        }
        Ok(Self { aggregator, writers })
    }
}

/// What kept Kafka from an answer, without rdkafka's name for the question.
fn words(error: KafkaError) -> String {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    match error.rdkafka_error_code() {
        Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut) => "no broker answers".to_owned(),
        // "NotLeaderForPartition (Broker: Not leader for partition)": the words, and not the name.
        Some(code) => {
            let words = code.to_string();
            words.split_once('(').map_or(words.as_str(), |(_, rest)| rest.trim_end_matches(')')).to_owned()
        }
        None => error.to_string(),
    }
}

#[expect(clippy::disallowed_methods, reason = "polls a system that announces nothing")]
fn pause() {
    thread::sleep(PAUSE);
}
