//! Records on their way from the consumer to the planners.

use std::time::Instant;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use service::kafka::records::{self, Flow, PartitionError};

use super::{Ended, TICK, Writer};
use crate::record::{Header, Headers, Record};

/// How many records, and how many bytes of them, are taken before anything else is looked at.
const RECORDS: usize = 10_000;
const BYTES: usize = 4 << 20;

impl Writer {
    /// Takes what the group and the client have to say.
    pub(super) fn listen(&mut self) -> Result<(), Ended> {
        while let Some(heard) = self.consumer.hear() {
            match heard {
                Ok(partition) => self.astray(partition),
                Err(error) => self.failed(error)?,
            }
        }
        Ok(())
    }

    /// Gives the planners what came. Waits only if nothing is there.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Ended> {
        let deadline = self.assigned.values().filter_map(|assigned| assigned.partition.next_deadline()).min();
        let wait = deadline.map_or(TICK, |deadline| deadline.saturating_duration_since(now).min(TICK));
        let assigned = &mut self.assigned;
        let (mut records, mut bytes, mut errors, mut asked) = (0, 0, Vec::new(), None);
        self.consumer.read(wait, |record| {
            match record {
                Ok(record) => {
                    records += 1;
                    bytes += record.value().map_or(0, <[u8]>::len);
                    let assigned = assigned.get_mut(&record.partition());
                    if let Some(assigned) = assigned.filter(|assigned| assigned.in_place()) {
                        let actions = assigned.partition.push(&seen(&record), now);
                        if !actions.is_empty() {
                            asked = Some((record.partition(), actions));
                        }
                    }
                }
                Err(error) => errors.push(error),
            }
            // What a planner asks for is done before it sees the next record.
            let is_enough = asked.is_some() || records >= RECORDS || bytes >= BYTES;
            if is_enough { Flow::Stop } else { Flow::Continue }
        });
        if let Some((number, actions)) = asked {
            self.perform(number, actions);
        }
        errors.into_iter().try_for_each(|error| self.failed_partition(error))
    }

    /// A record came by the group's own queue and is gone. What a planner reads must not have a hole.
    fn astray(&mut self, number: i32) {
        if self
            .assigned
            .get(&number)
            .is_some_and(|assigned| assigned.in_place() && !assigned.partition.paused())
        {
            tracing::warn!(
                writer = %self.kind, topic = self.topic, partition = number,
                "a record came the wrong way: looking for the frontier again"
            );
            self.ask(number, |partition| partition.restart());
        }
    }

    fn failed_partition(&mut self, PartitionError { partition, code }: PartitionError) -> Result<(), Ended> {
        match code {
            RDKafkaErrorCode::AutoOffsetReset => {
                tracing::warn!(
                    writer = %self.kind, topic = self.topic, partition,
                    "the position is outside the log: looking for the frontier again"
                );
                // If the topic was created again, no position means anything.
                self.identity.doubt();
                self.ask(partition, |partition| partition.passed());
                Ok(())
            }
            code => self.failed(KafkaError::MessageConsumption(code)),
        }
    }

    fn failed(&mut self, error: KafkaError) -> Result<(), Ended> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => return Err(Ended::Consumer(error)),
            KafkaError::MessageConsumption(
                code @ (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::UnknownTopicOrPartition),
            ) => {
                // The topic is gone, for a moment or for good.
                tracing::warn!(writer = %self.kind, topic = self.topic, %code, "looking for the frontiers again");
                self.identity.doubt();
                self.ask_all(|partition| partition.restart());
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown) => self.kafka_away = true,
            // The rest is Kafka moving; librdkafka goes on by itself.
            error => tracing::debug!(writer = %self.kind, topic = self.topic, %error, "poll"),
        }
        Ok(())
    }
}

fn seen<'a>(record: &'a records::Record<'a>) -> Record<'a> {
    Record {
        offset: record.offset(),
        timestamp: record.timestamp(),
        key: record.key(),
        value: record.value(),
        headers: record,
    }
}

impl Headers for records::Record<'_> {
    fn read(&self) -> Vec<Header<'_>> {
        self.headers()
    }
}
