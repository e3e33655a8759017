//! Records as somebody else's client might write them: any key, any value, any headers, compressed any way.

use std::ptr;
use std::time::Duration;

use anyhow::{Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::bindings;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaRespErr;
use stack::Stack;

/// How long Kafka may take to acknowledge them all.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A header: its name, of any bytes but zero, and its value.
pub type ForeignHeader = (&'static [u8], Option<&'static [u8]>);

/// A record to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<ForeignHeader>,
    /// Its timestamp in milliseconds since the epoch; none is now.
    pub timestamp: Option<i64>,
    /// The partition it goes to; none is what Java's partitioner says.
    pub partition: Option<i32>,
}

/// Writes `records` to `topic`, compressed by `codec`.
///
/// # Errors
/// When they are not all acknowledged.
pub async fn produce(stack: &Stack, topic: &'static str, codec: &str, records: Vec<Foreign>) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka_bootstrap())
        .set("compression.type", codec)
        .set("partitioner", "murmur2_random")
        // One batch a partition: a single small record is not compressed.
        .set("linger.ms", "100")
        .create()?;
    let written = tokio::task::spawn_blocking(move || {
        for record in &records {
            producer.send(to_record(topic, record)?).map_err(|(error, _)| error)?;
        }
        producer.flush(TIMEOUT)?;
        ensure!(producer.in_flight_count() == 0, "records were not acknowledged within {TIMEOUT:?}");
        Ok(())
    });
    written.await?
}

fn to_record<'a>(topic: &'a str, foreign: &'a Foreign) -> Result<BaseRecord<'a, [u8], [u8]>> {
    let mut record = BaseRecord::to(topic);
    record.key = foreign.key.as_deref();
    record.payload = foreign.value.as_deref();
    record.timestamp = foreign.timestamp;
    record.partition = foreign.partition;
    if !foreign.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(foreign.headers.len());
        foreign.headers.iter().try_for_each(|header| add(&headers, *header))?;
        record.headers = Some(headers);
    }
    Ok(record)
}

#[expect(unsafe_code, reason = "rdkafka takes names of UTF-8 only; Kafka and librdkafka take any bytes")]
fn add(headers: &OwnedHeaders, (name, value): ForeignHeader) -> Result<()> {
    let headers = ptr::from_ref(headers.as_borrowed()).cast_mut().cast();
    let (bytes, length) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
    // SAFETY: the headers are alive and nobody reads them yet, `as_borrowed` hands out librdkafka's own pointer, and name
    // and value are copied.
    let answer = unsafe {
        bindings::rd_kafka_header_add(
            headers,
            name.as_ptr().cast(),
            isize::try_from(name.len())?,
            bytes.cast(),
            isize::try_from(length)?,
        )
    };
    ensure!(answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR, "header {name:?} is refused");
    Ok(())
}
