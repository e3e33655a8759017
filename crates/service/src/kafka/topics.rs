//! Whether topics exist, and waiting for those that do not yet.

use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::{Metadata, MetadataTopic};

use super::reach::look;
use crate::health::Component;
use crate::shutdown::Shutdown;

/// How long one look at the cluster may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Those of `topics` that do not exist.
///
/// # Errors
/// When no broker answers within `timeout`.
pub fn missing_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> KafkaResult<Vec<String>> {
    let metadata = look(client, timeout)?;
    let missing = topics.iter().filter(|name| find(&metadata, name).is_none());
    Ok(missing.map(|name| (*name).to_owned()).collect())
}

/// How many partitions `topic` has; `None` where there is no such topic.
///
/// # Errors
/// When no broker answers within `timeout`.
pub fn partition_count<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Option<usize>> {
    Ok(find(&look(client, timeout)?, topic).map(|topic| topic.partitions().len()))
}

fn find<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a MetadataTopic> {
    metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none())
}

/// Blocks until all `topics` exist, and says in `health` what is missing meanwhile; `false` if asked to stop first.
pub fn wait_for_topics<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    health: &Component,
    shutdown: &Shutdown,
) -> bool {
    while !shutdown.requested() {
        match missing_topics(client, topics, TIMEOUT) {
            Ok(missing) if missing.is_empty() => return true,
            Ok(missing) => {
                health.down(format!(
                    "no such topic: {} (make them with `pageviews topics`)",
                    missing.join(", ")
                ));
            }
            Err(error) => health.down(format!("no broker answers: {error}")),
        }
        pause();
    }
    false
}

#[expect(clippy::disallowed_methods, reason = "polls a system that announces nothing")]
fn pause() {
    std::thread::sleep(PAUSE);
}
