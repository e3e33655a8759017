//! Where the logs of some topics end, asked for again and again by a client of its own.
//!
//! A consumer learns of it with what it fetches. Where its fetch stalls, as under a quota of the broker's, which holds back
//! the answers of a whole connection, it learns of nothing: it would show no lag, and seem well.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{LogOnly, consumer_config, create};
use super::topics::partition_count;
use crate::config::Config;
use crate::health::Component;
use crate::shutdown::Shutdown;

/// The pause between two questions.
const PAUSE: Duration = Duration::from_secs(3);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The ends as they were last heard of; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct LogEnds {
    ends: Arc<Mutex<HashMap<String, HashMap<i32, i64>>>>,
}

impl LogEnds {
    /// Keeps asking for those of `topics` on a thread of its own, which ends with the process, and tells in `health` whether
    /// it is answered. `group` is one that may read the topics; it is not joined.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn watch(
        config: &Config,
        group: &str,
        topics: Vec<String>,
        health: Component,
        shutdown: Shutdown,
    ) -> KafkaResult<Self> {
        let client: BaseConsumer<LogOnly> = create(&consumer_config(config, group), LogOnly)?;
        let this = Self::default();
        let watched = this.clone();
        let watch = move || {
            while !shutdown.requested() {
                match topics.iter().try_for_each(|topic| watched.ask(&client, topic)) {
                    Ok(()) => health.up(),
                    Err(error) => health.down(format!("no broker tells where the logs end: {error}")),
                }
                pause();
            }
        };
        std::thread::Builder::new()
            .name("log-ends".to_owned())
            .spawn(watch)
            .map_err(|error| KafkaError::ClientCreation(error.to_string()))?;
        Ok(this)
    }

    /// Where the partition's log ended when that was last heard.
    #[must_use]
    pub fn of(&self, topic: &str, partition: i32) -> Option<i64> {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.get(topic)?.get(&partition).copied()
    }

    fn ask(&self, client: &BaseConsumer<LogOnly>, topic: &str) -> KafkaResult<()> {
        let partitions = partition_count(client.client(), topic, TIMEOUT)?.unwrap_or(0);
        let mut question = TopicPartitionList::new();
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            // The end is a time like any other to Kafka (ListOffsets).
            question.add_partition_offset(topic, partition, Offset::End)?;
        }
        let answer = client.offsets_for_times(question, TIMEOUT)?;
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = ends.entry(topic.to_owned()).or_default();
        for element in answer.elements() {
            // One without a leader is left as it was.
            if let (Ok(()), Offset::Offset(end)) = (element.error(), element.offset()) {
                ends.insert(element.partition(), end);
            }
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "polls a system that announces nothing")]
fn pause() {
    std::thread::sleep(PAUSE);
}
