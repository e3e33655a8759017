//! Reading what the topics still hold: every partition by itself, on all cores, by consumers that join no group.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use indicatif::HumanCount;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use s3_sink::Kind;
use service::Config;
use service::clock::monotonic;
use service::kafka::consumer_config;
use service::kafka::records::{Flow, Records};

use super::fingerprint::{Fingerprints, Sum};
use super::retained::{Held, Part};
use crate::kafka::TIMEOUT;
use crate::progress::Progress;
use crate::verdict::Unreachable;

/// How long one wait for records takes.
const POLL: Duration = Duration::from_millis(100);
/// How long a broker may tell nothing before it counts as away.
const PATIENCE: Duration = Duration::from_secs(30);

/// The parts of one partition, in the order of offsets, as they are read.
struct Partition {
    parts: Vec<(Part, Sum)>,
    at: usize,
}

impl Partition {
    /// Adds a record; false once nothing more is wanted.
    fn add(&mut self, offset: i64, value: Option<&[u8]>, fingerprints: &Fingerprints) -> bool {
        while self.parts.get(self.at).is_some_and(|(part, _)| offset >= part.end) {
            self.at += 1;
        }
        let Some((part, sum)) = self.parts.get_mut(self.at) else { return false };
        if offset >= part.from {
            fingerprints.add(sum, Some(offset), value);
        }
        true
    }
}

/// Reads `parts` of the topics that `name` tells.
pub(super) fn read(
    config: &Config,
    parts: BTreeMap<(Kind, i32), Vec<Part>>,
    name: impl Fn(Kind) -> String,
    fingerprints: &Fingerprints,
) -> anyhow::Result<Held> {
    let total = parts.values().flatten().map(|part| part.end.abs_diff(part.from)).sum();
    let (mut progress, mut read) = (Progress::new(total), 0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut by_topic = BTreeMap::<Kind, Vec<BTreeMap<i32, Partition>>>::new();
    for (number, ((kind, partition), parts)) in parts.into_iter().enumerate() {
        let shares = by_topic.entry(kind).or_insert_with(|| (0..cores).map(|_| BTreeMap::new()).collect());
        let parts = parts.into_iter().map(|part| (part, Sum::default())).collect();
        shares[number % cores].insert(partition, Partition { parts, at: 0 });
    }
    let mut held = Held::default();
    for (kind, shares) in by_topic {
        let topic = name(kind);
        thread::scope(|scope| {
            let (told, tell) = channel();
            let threads: Vec<_> = shares
                .into_iter()
                .filter(|share| !share.is_empty())
                .map(|share| {
                    let (told, topic) = (told.clone(), topic.as_str());
                    scope.spawn(move || read_share(config, kind, topic, share, fingerprints, &told))
                })
                .collect();
            drop(told);
            for records in tell {
                read += records;
                progress.update(read, || format!("{topic}: {} of {}", HumanCount(read), HumanCount(total)));
            }
            for thread in threads {
                let share = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                held.sums.extend(share.sums);
                held.starts.extend(share.starts);
            }
            anyhow::Ok(())
        })?;
    }
    Ok(held)
}

/// Reads some partitions of one topic, and tells how many records came.
fn read_share(
    config: &Config,
    kind: Kind,
    topic: &str,
    mut partitions: BTreeMap<i32, Partition>,
    fingerprints: &Fingerprints,
    told: &Sender<u64>,
) -> anyhow::Result<Held> {
    let mut client = consumer_config(config, &config.pipeline.group_id);
    // Where the log ends, nothing more will come: what is wanted ends there at the latest.
    client.set("enable.partition.eof", "true");
    let records = Records::new(client.create::<BaseConsumer>()?, CString::new(topic)?);
    let mut assignment = TopicPartitionList::new();
    for (partition, Partition { parts, .. }) in &partitions {
        let from = parts.first().map_or(0, |(part, _)| part.from);
        assignment.add_partition_offset(topic, *partition, Offset::Offset(from))?;
    }
    records.take_over(partitions.keys().copied());
    records.consumer().assign(&assignment)?;

    let mut unread: Vec<i32> = partitions.keys().copied().collect();
    let (mut heard, mut complaint) = (monotonic(), None);
    while !unread.is_empty() {
        let mut done = Vec::new();
        let count = records.read(POLL, |record| {
            match record {
                Ok(record) => {
                    let partition = record.partition();
                    let wanted = partitions
                        .get_mut(&partition)
                        .is_some_and(|read| read.add(record.offset(), record.value(), fingerprints));
                    if !wanted {
                        done.push(partition);
                    }
                }
                Err(error) if error.code == RDKafkaErrorCode::PartitionEOF => done.push(error.partition),
                // A leader that moves comes back, or the patience ends.
                Err(error) => complaint = Some(error.code),
            }
            Flow::Continue
        });
        // Errors of the client itself; the records do not come this way.
        while let Some(Err(error)) = records.consumer().poll(Duration::ZERO) {
            complaint = error.rdkafka_error_code();
        }
        let mut finished = TopicPartitionList::new();
        for partition in unread.extract_if(.., |partition| done.contains(partition)) {
            finished.add_partition(topic, partition);
        }
        records.consumer().pause(&finished)?;
        if count > 0 {
            heard = monotonic();
            // Nobody listens any more only where the audit has ended.
            let _ = told.send(count as u64);
        } else if monotonic().duration_since(heard) > PATIENCE {
            let why = complaint.map_or("nothing comes".to_owned(), |code| code.to_string());
            return Err(Unreachable(format!("cannot read {topic} within {PATIENCE:?}: {why}")).into());
        }
    }

    let mut held = Held::default();
    for (partition, Partition { parts, .. }) in partitions {
        let client = records.consumer().client();
        let (start, _) = service::kafka::watermarks(client, topic, partition, TIMEOUT)?;
        held.starts.insert((kind, partition), start);
        held.sums.extend(parts.into_iter().map(|(part, sum)| (part.key, sum)));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_adds_to_its_part_only() {
        let fingerprints = Fingerprints::default();
        let part = |start, from, end| (Part { key: (Kind::Raw, 0, start), from, end }, Sum::default());
        let mut partition = Partition { parts: vec![part(0, 3, 5), part(5, 5, 6), part(8, 8, 10)], at: 0 };
        let wanted: Vec<_> = (0..12).map(|offset| partition.add(offset, Some(b"x"), &fingerprints)).collect();
        assert_eq!(wanted.iter().filter(|wanted| **wanted).count(), 10, "all below 10");
        let records: Vec<_> = partition.parts.iter().map(|(_, sum)| sum.records).collect();
        assert_eq!(records, [2, 1, 2]);
    }
}
