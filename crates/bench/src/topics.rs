//! Topics of the benchmark: made, and read back.

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use model::PageviewAggregate;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use service::clock;

use crate::tally::{self, Counts};

/// The topic of events.
pub(crate) const TOPIC: &str = "pageviews";

/// Partitions of every topic with events or counts.
pub(crate) const PARTITIONS: i32 = 6;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes topics.
pub(crate) async fn create(bootstrap: &str, names: &[(&str, i32)]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let new: Vec<_> = names
        .iter()
        .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for result in admin.create_topics(&new, &options).await.context("cannot create topics")? {
        result.map_err(|(name, code)| anyhow!("cannot create topic {name}: {code}"))?;
    }
    Ok(())
}

/// Deletes a topic.
pub(crate) async fn delete(bootstrap: &str, name: &str) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    for result in admin.delete_topics(&[name], &AdminOptions::new()).await.context("cannot delete topics")? {
        result.map_err(|(name, code)| anyhow!("cannot delete topic {name}: {code}"))?;
    }
    Ok(())
}

/// How many records a topic of one producer holds.
pub(crate) fn records(bootstrap: &str, name: &str) -> anyhow::Result<u64> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let mut records = 0;
    for partition in 0..PARTITIONS {
        let (first, end) = consumer.fetch_watermarks(name, partition, TIMEOUT)?;
        records += u64::try_from(end - first)?;
    }
    Ok(records)
}

/// Reads the rows of `topic` until all of `closed` are there, which may take a commit or two, and compares them.
pub(crate) fn check_rows(bootstrap: &str, topic: &str, closed: &Counts) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "bench-check")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (started, mut counts) = (clock::monotonic(), Counts::new());
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => {
                let message = message?;
                let value = message.payload().context("a row without a value")?;
                tally::add_row(&mut counts, PageviewAggregate::parse(value)?);
            }
            None if tally::missing(&counts, closed) == 0 => return tally::check(&counts, closed),
            None => {}
        }
        ensure!(
            started.elapsed() < TIMEOUT,
            "{} of {} counts are missing in topic {topic}",
            tally::missing(&counts, closed),
            closed.len()
        );
    }
}
