//! Where a partition's log begins and ends, also after its leader has died.

use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::reach::look;

/// The offset that the partition's log begins at, and the one that it ends before.
///
/// librdkafka asks the leader that it knows of. Where it knows of none it does not look for one, unless it fetches from
/// the partition: it says `UnknownPartition` until its regular look at the cluster, five minutes later. So this looks.
///
/// # Errors
/// When the partition's leader does not answer, or there is none. It asks up to three times, each for `timeout`.
pub fn watermarks<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> KafkaResult<(i64, i64)> {
    match client.fetch_watermarks(topic, partition, timeout) {
        Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition)) => {
            look(client, timeout)?;
            client.fetch_watermarks(topic, partition, timeout)
        }
        answer => answer,
    }
}
