//! Polls a topic and does nothing with it: `bench-bare BOOTSTRAP TOPIC GROUP RECORDS`.
//!
//! rdkafka's `BaseConsumer` with the fetch settings of the aggregator, on the system's allocator. Says `first` when the
//! first record is here and `done` when all are, then waits for the end of standard input, so that it can be looked at
//! from outside.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// Polls in a row that may bring nothing.
const PATIENCE: u32 = 600;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, group, records] = arguments.as_slice() else {
        bail!("usage: bench-bare BOOTSTRAP TOPIC GROUP RECORDS");
    };
    let records: u64 = records.parse().context("RECORDS is no whole number")?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("fetch.queue.backoff.ms", "1")
        .set("fetch.message.max.bytes", "262144")
        .set("queued.min.messages", "10000")
        .create()?;
    consumer.subscribe(&[topic])?;
    let bytes = read(&consumer, records)?;
    println!("done");
    println!("{bytes} bytes");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Reads this many records, and returns the size of their values.
fn read(consumer: &BaseConsumer, records: u64) -> anyhow::Result<u64> {
    let (mut read, mut bytes, mut silent) = (0, 0, 0);
    while read < records {
        match consumer.poll(POLL_TIMEOUT) {
            Some(message) => {
                bytes += message?.payload_len() as u64;
                if read == 0 {
                    println!("first");
                }
                read += 1;
                silent = 0;
            }
            None if silent < PATIENCE => silent += 1,
            None => bail!("no record came for a minute, after {read} of {records}"),
        }
    }
    Ok(bytes)
}
