//! Reads the rows of the results as they are committed, from the last minutes on. In no group: it commits nothing.

use std::thread;
use std::time::{Duration, Instant};

use model::{EpochMillis, PageviewAggregate};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use service::Config;
use service::clock::{monotonic, now};
use service::kafka::consumer_config;

use super::Eyes;
use super::picture::Seen;
use super::top::MINUTES;

/// How far back it begins.
const BACK: Duration = Duration::from_secs(60 * MINUTES.unsigned_abs());
/// How long one question may take, and between two tries.
const TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_secs(1);
/// Rows are handed over after so long, or so many.
const HANDOVER: Duration = Duration::from_millis(500);
const BATCH: usize = 10_000;

/// Reads in a thread of its own, for as long as `eyes` are open.
pub(super) fn start(config: Config, eyes: Eyes) {
    thread::spawn(move || {
        while !eyes.is_closed() {
            // Why Kafka cannot be read is told by whoever asks it for its commits.
            let _ = read(&config, &eyes);
            pause();
        }
    });
}

/// Reads on, over every outage, which librdkafka gets over by itself; an error is one of the beginning.
fn read(config: &Config, eyes: &Eyes) -> KafkaResult<()> {
    let consumer: BaseConsumer = consumer_config(config, &config.pipeline.group_id).create()?;
    consumer.assign(&recent(&consumer, config, now().minus(BACK))?)?;
    let _ = eyes.send(Seen::RowsBegin);
    let (mut rows, mut since) = (Vec::new(), monotonic());
    while !eyes.is_closed() {
        if let Some(Ok(record)) = consumer.poll(HANDOVER) {
            rows.extend(record.payload().and_then(|row| PageviewAggregate::parse(row).ok()));
        }
        if rows.len() >= BATCH || is_due(since) {
            since = monotonic();
            if !rows.is_empty() {
                let _ = eyes.send(Seen::Rows(std::mem::take(&mut rows)));
            }
        }
    }
    Ok(())
}

fn is_due(since: Instant) -> bool {
    monotonic().duration_since(since) >= HANDOVER
}

/// The first records of both topics that were written at `from` or later.
fn recent(consumer: &BaseConsumer, config: &Config, from: EpochMillis) -> KafkaResult<TopicPartitionList> {
    let mut times = TopicPartitionList::new();
    for topic in [&config.pipeline.aggregates_topic, &config.pipeline.late_topic] {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            times.add_partition_offset(topic, partition.id(), Offset::Offset(from.0))?;
        }
    }
    consumer.offsets_for_times(times, TIMEOUT)
}

#[expect(clippy::disallowed_methods, reason = "a thread that waits for Kafka to come back")]
fn pause() {
    thread::sleep(PAUSE);
}
