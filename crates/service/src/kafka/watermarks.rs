//! Where a partition's log begins and ends, also after its leader has died.

use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

/// The offset that the partition's log begins at, and the one that it ends before.
///
/// librdkafka asks the leader that it knows of. Where it knows of none it does not look for one, unless it fetches from
/// the partition: it says `UnknownPartition` until its regular look at the cluster, five minutes later. So this looks.
///
/// # Errors
/// When the partition's leader does not answer within `timeout`, or there is none.
pub fn watermarks<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<(i64, i64)> {
    match client.fetch_watermarks(topic, partition, timeout) {
        Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition)) => {
            // Of all topics: asking for one by name would create it where brokers create topics by themselves.
            client.fetch_metadata(None, timeout)?;
            client.fetch_watermarks(topic, partition, timeout)
        }
        answer => answer,
    }
}
