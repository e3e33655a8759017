//! The sink's consumer and its encoders, and nothing else: no ledger, no upload. What the sink is measured against runs
//! in a process of its own, `bench ceiling`, since it is looked at from outside.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io::Read as _;
use std::mem::take;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use s3_sink::Kind;
use s3_sink::batch::Batch;
use s3_sink::encode::Tools;
use s3_sink::range::{Range, Sealed, Source};
use s3_sink::record::{NO_HEADERS, Record};
use s3_sink::route::Router;
use service::config::Format;
use service::kafka::records::{self, Flow, PartitionError, Records};

use crate::arena::{Arena, LIMIT};
use crate::arguments::CeilingArguments;
use crate::child::Child;
use crate::topics::{PARTITIONS, TOPIC};
use crate::usage::Usage;

/// The default of `sink.raw.flush_bytes`.
const OBJECT: usize = 32 << 20;
/// How much is given to an encoder at a time, and how often ahead of it: as in the sink.
const BATCH: usize = 256 << 10;
const AHEAD: usize = 16;
/// How long records are waited for, and how often in a row.
const TICK: Duration = Duration::from_millis(100);
const PATIENCE: u32 = 600;
const SEEK: Duration = Duration::from_secs(5);

/// A part of a partition on its way to its encoder.
type Work = (usize, Batch);

/// Reads the topic and encodes it, from the first record until the last object is whole.
pub(super) async fn drain(arena: &Arena, format: Format, events: u64) -> anyhow::Result<Usage> {
    let mut command = arena.command("bench");
    let records = events + u64::from(PARTITIONS.unsigned_abs());
    command.args(["ceiling", &arena.bootstrap(), format.name(), &records.to_string()]);
    let mut child = Child::start(command, &arena.log("ceiling")).await?;
    let first = child.says("first", LIMIT).await?;
    let done = child.says("done", LIMIT).await?;
    let usage = first.until(&done, events)?;
    child.kill().await?;
    Ok(usage)
}

/// The process itself. Says `first` when the first record is here and `done` when all are encoded, then waits for the end
/// of standard input, so that it can be looked at from outside.
///
/// # Errors
/// When Kafka does not bring all records, or one was not encoded.
pub(crate) fn run(arguments: &CeilingArguments) -> anyhow::Result<()> {
    let CeilingArguments { bootstrap, format, records } = arguments;
    let encoders: Vec<Encoder> = (0..thread::available_parallelism().map_or(1, NonZero::get))
        .map(|_| Encoder::start(*format))
        .collect::<Result<_, _>>()?;
    let consumer = consumer(bootstrap)?;
    read(&consumer, *records, &encoders)?;
    let encoded = encoders.into_iter().map(Encoder::finish).sum::<anyhow::Result<u64>>()?;
    ensure!(encoded == *records, "{encoded} of {records} records were encoded");
    println!("done");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// With the settings of the sink's.
fn consumer(bootstrap: &str) -> anyhow::Result<Records<DefaultConsumerContext>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        // Nobody ever joins it, but librdkafka wants a name.
        .set("group.id", "ceiling")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("check.crcs", "true")
        .set("fetch.queue.backoff.ms", "1")
        .set("fetch.message.max.bytes", "262144")
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "16384")
        .create()?;
    let records = Records::new(consumer, CString::new(TOPIC)?);
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
    }
    records.consumer().assign(&list)?;
    Ok(records)
}

/// Reads this many records, and gives them to the encoders, each of which has the same partitions all the time.
fn read(
    consumer: &Records<DefaultConsumerContext>,
    records: u64,
    encoders: &[Encoder],
) -> anyhow::Result<()> {
    let mut batches: Vec<Batch> = (0..PARTITIONS).map(|_| Batch::default()).collect();
    let give = |partition: usize, batch: Batch| {
        let encoder = &encoders[partition % encoders.len()];
        encoder.work.send((partition, batch)).map_err(|_| anyhow!("an encoder has ended"))
    };
    let (mut left, mut silent) = (records, 0);
    while left > 0 {
        // Errors of the client come this way, and, from when a partition starts until it is taken over, records.
        if let Some(astray) = consumer.consumer().poll(Duration::ZERO).transpose()? {
            take_over(consumer, astray.partition(), astray.offset())?;
        }
        let (before, mut full, mut failed) = (left, None, None);
        consumer.read(TICK, |record| match record {
            Ok(record) => {
                if left == records {
                    println!("first");
                }
                left -= 1;
                let partition = record.partition().unsigned_abs() as usize;
                batches[partition].push(&seen(&record));
                full = (batches[partition].size() >= BATCH).then_some(partition);
                if full.is_some() || left == 0 { Flow::Stop } else { Flow::Continue }
            }
            Err(error) => {
                failed = Some(error);
                Flow::Stop
            }
        });
        if let Some(PartitionError { partition, code }) = failed {
            bail!("partition {partition} cannot be read: {code}");
        }
        silent = if left < before { 0 } else { silent + 1 };
        ensure!(silent < PATIENCE, "no record came for a minute, and {left} of {records} are still to come");
        if let Some(partition) = full {
            give(partition, take(&mut batches[partition]))?;
        }
    }
    batches.into_iter().enumerate().try_for_each(|(partition, batch)| give(partition, batch))
}

/// Has the records of a partition come in batches, from `offset` on; what was fetched for the other way is forgotten.
fn take_over(consumer: &Records<DefaultConsumerContext>, partition: i32, offset: i64) -> anyhow::Result<()> {
    consumer.take_over([partition]);
    Ok(consumer.consumer().seek(TOPIC, partition, Offset::Offset(offset), SEEK)?)
}

/// As the sink's own code sees it. Events have no headers.
fn seen<'a>(record: &records::Record<'a>) -> Record<'a> {
    Record {
        offset: record.offset(),
        timestamp: record.timestamp(),
        key: record.key(),
        value: record.value(),
        headers: &NO_HEADERS,
    }
}

/// A thread that encodes some of the partitions.
struct Encoder {
    work: SyncSender<Work>,
    thread: JoinHandle<anyhow::Result<u64>>,
}

impl Encoder {
    fn start(format: Format) -> std::io::Result<Self> {
        let (work, queue) = sync_channel(AHEAD);
        let thread =
            thread::Builder::new().name("encoder".to_owned()).spawn(move || encode(format, &queue))?;
        Ok(Self { work, thread })
    }

    /// Waits until all that it was given is encoded; tells how many records that were.
    fn finish(self) -> anyhow::Result<u64> {
        drop(self.work);
        self.thread.join().map_err(|_| anyhow!("an encoder has panicked"))?
    }
}

/// Encodes what comes, and throws the objects away; tells how many records they had.
fn encode(format: Format, queue: &Receiver<Work>) -> anyhow::Result<u64> {
    let mut tools = Tools::new();
    let begin = |partition: usize| {
        let source =
            Source { kind: Kind::Raw, topic: TOPIC.to_owned(), partition: i32::try_from(partition)? };
        anyhow::Ok(Range::new(source, Router::new(Kind::Raw, format), 0))
    };
    let (mut ranges, mut records) = (BTreeMap::new(), 0);
    for (partition, batch) in queue {
        let mut range = ranges.remove(&partition).map_or_else(|| begin(partition), Ok)?;
        range.push(&batch, &mut tools)?;
        if range.fill().likely(0) >= OBJECT {
            records += count(&range.seal(&mut tools)?);
        } else {
            ranges.insert(partition, range);
        }
    }
    for range in ranges.into_values() {
        records += count(&range.seal(&mut tools)?);
    }
    Ok(records)
}

fn count(sealed: &Sealed) -> u64 {
    sealed.entry.objects().iter().map(|object| object.records).sum()
}
