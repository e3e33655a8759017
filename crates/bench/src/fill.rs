//! Fills a topic, as fast as Kafka takes it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use cli::progress::Progress;
use model::EpochMillis;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use crate::events::Recipe;
use crate::tally::Tally;
use crate::topics::PARTITIONS;

/// Events between two looks at what was delivered.
const STRIDE: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// What a topic was filled with.
pub(crate) struct Filled {
    /// What its events add up to.
    pub(crate) tally: Tally,
    /// The size of all values.
    pub(crate) bytes: u64,
}

/// Writes the events of `recipe` to `topic` in their order.
pub(crate) fn fill(bootstrap: &str, topic: &str, recipe: &Recipe) -> anyhow::Result<Filled> {
    let producer = producer(bootstrap)?;
    let mut bytes = 0;
    let mut tally = Tally::new(recipe, PARTITIONS)?;
    let mut progress = Progress::new(recipe.events);
    let mut json = Vec::new();
    for index in 0..recipe.events {
        let event = recipe.event(index);
        let partition = tally.add(&event);
        recipe.write(&event, &mut json);
        bytes += json.len() as u64;
        let record = BaseRecord::to(topic)
            .partition(i32::try_from(partition)?)
            .key(&recipe.postcodes[event.postcode])
            .payload(&json)
            .timestamp(event.ingested.0);
        send(&producer, record)?;
        if index % STRIDE == 0 {
            producer.poll(Duration::ZERO);
            progress.update(index, || format!("fill {topic}: {index} of {}", recipe.events));
        }
    }
    finish(&producer, topic)?;
    Ok(Filled { tally, bytes })
}

/// Writes one record that is no event to each partition, ingested at `time`.
pub(crate) fn end(bootstrap: &str, topic: &str, time: EpochMillis) -> anyhow::Result<()> {
    let producer = producer(bootstrap)?;
    for partition in 0..PARTITIONS {
        let record = BaseRecord::to(topic).partition(partition).key("").payload(b"no event");
        send(&producer, record.timestamp(time.0))?;
    }
    finish(&producer, topic)
}

/// Waits until Kafka has everything.
fn finish(producer: &BaseProducer<Deliveries>, topic: &str) -> anyhow::Result<()> {
    producer.flush(PATIENCE)?;
    let failed = producer.context().failed.load(Ordering::Relaxed);
    ensure!(failed == 0, "{failed} records could not be written to topic {topic}");
    Ok(())
}

fn producer(bootstrap: &str) -> anyhow::Result<BaseProducer<Deliveries>> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap).set("enable.idempotence", "true");
    client.set("compression.type", "lz4").set("linger.ms", "20");
    client.set("queue.buffering.max.kbytes", "262144");
    Ok(client.create_with_context(Deliveries::default())?)
}

fn send<K, P>(producer: &BaseProducer<Deliveries>, mut record: BaseRecord<'_, K, P>) -> anyhow::Result<()>
where
    K: rdkafka::message::ToBytes + ?Sized,
    P: rdkafka::message::ToBytes + ?Sized,
{
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(Duration::from_millis(20));
                record = again;
            }
            Err((error, _)) => bail!(error),
        }
    }
}

#[derive(Debug, Default)]
struct Deliveries {
    failed: AtomicU64,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
