//! `pageviews redrive`: sends dead letters back to the topic of events, after what was wrong with them was mended.
//!
//! ```text
//! S3 ledger -> dead-letter/topic/ -> letter --through CMD--> one transaction: events + offset of a group -> pageviews
//!                                      ^
//!                                     sent <- committed offsets of that group, and marks in the bucket
//! ```

mod letter;
mod mark;
mod report;
mod sent;
mod through;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use s3_sink::Kind;
use s3_sink::bucket::Bucket;
use s3_sink::decode;
use s3_sink::ledger::Entry;
use service::{Config, kafka};
use tokio::task::{block_in_place, spawn_blocking};

use crate::audit::survey::Survey;
use crate::kafka::TIMEOUT;
use crate::progress::Progress;
use crate::transaction::{Position, Transactions};
use crate::verdict::Unreachable;
use crate::{Verdict, objects, output};
use letter::{Left, Letter};
use mark::Place;
use report::Report;
use sent::Sent;

/// Names the one that may redrive: another run with any reason is shut out by it.
const TRANSACTIONAL_ID: &str = "pageview-redrive";
/// How many dead letters, and how many bytes of them, one transaction holds at most.
const MOST_LETTERS: usize = 1_000;
const MOST_BYTES: usize = 4 << 20;

/// Send dead letters back to be counted, after what was wrong with them was mended
///
/// Reads dead-letter/topic/ in the bucket, which outlives the topic's retention, and writes each event to the topic of
/// events with its key and headers, and the header redriven-from. Each is sent once: what was sent is committed with it,
/// so that a run that was killed can be made again, and a second run sends what came since. An event that still cannot
/// be counted becomes another dead letter.
///
/// dead-letter/raw/ is not sent: the aggregator has put these events among the dead letters as well. Neither are
/// dead-letter/aggregates/ and dead-letter/late/, which hold no events.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only those with this reason, such as invalid_postcode
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Mends them on the way: a command line that gets an event a line and answers with a line for each, an empty one for
    /// an event that is not to be sent
    #[arg(long, value_name = "COMMAND")]
    through: Option<String>,
    /// Send again what was sent already; those who count it will count it again
    #[arg(long)]
    again: bool,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let bucket = objects::bucket(config).await?;
    // First: from here on nobody else sends, so that what is committed is all that was sent.
    let transactions = match options.dry_run {
        true => None,
        false => Some(block_in_place(|| Transactions::start(config, TRANSACTIONAL_ID))?),
    };
    let survey = Survey::take(config, &bucket, Duration::ZERO).await?;
    let mut run = Run { config, options, bucket, transactions, report: Report::new(options.dry_run) };
    let mut progress = Progress::new(survey.entries(Kind::DeadLetters).count() as u64);
    let mut read = 0;
    for ((kind, partition), ledger) in &survey.partitions {
        if *kind == Kind::DeadLetters {
            let mut batch = run.begin(*partition).await?;
            for entry in &ledger.entries {
                if !run.take(entry, &mut batch, survey.is_completed(*kind, entry)).await? {
                    break;
                }
                read += 1;
                progress.update(read, || format!("dead letters: {}", run.report.words()));
            }
            run.flush(&mut batch).await?;
        }
    }
    drop(progress);
    match options.json {
        true => output::line(run.report.json()?)?,
        false => output::line(run.report.text())?,
    }
    Ok(Verdict::Good)
}

struct Run<'a> {
    config: &'a Config,
    options: &'a Options,
    bucket: Bucket,
    /// None sends nothing.
    transactions: Option<Transactions>,
    report: Report,
}

/// What of one partition is sent next.
struct Batch {
    partition: i32,
    sent: Sent,
    letters: Vec<Letter>,
    bytes: usize,
    /// The offset that was committed, and the one that will be when the letters are sent.
    committed: i64,
    next: i64,
}

impl Run<'_> {
    async fn begin(&self, partition: i32) -> anyhow::Result<Batch> {
        let mut sent = Sent::new(self.sent_to(None, partition).await?);
        if let Some(reason) = &self.options.reason {
            sent.learn(reason, self.sent_to(Some(reason), partition).await?);
        }
        let from = sent.from(self.options.reason.as_deref());
        Ok(Batch { partition, sent, letters: Vec::new(), bytes: 0, committed: from, next: from })
    }

    /// Adds the dead letters of a range, and sends what is enough for a transaction; `false` if the range is not wholly
    /// in the bucket yet.
    async fn take(&mut self, entry: &Entry, batch: &mut Batch, is_completed: bool) -> anyhow::Result<bool> {
        if entry.end <= batch.next {
            return Ok(true);
        }
        for object in entry.objects() {
            let Some(found) = self.read(&object.key).await? else {
                if is_completed {
                    self.report.gone.push(object.key.clone());
                    continue;
                }
                return Ok(false);
            };
            for (offset, found) in found {
                if offset < batch.next {
                    continue;
                }
                match found {
                    Err(left) => self.report.leave(left),
                    Ok(letter) => self.add(letter, offset, batch).await?,
                }
                batch.next = offset + 1;
                if batch.letters.len() >= MOST_LETTERS || batch.bytes >= MOST_BYTES {
                    self.flush(batch).await?;
                }
            }
        }
        batch.next = entry.end;
        Ok(true)
    }

    async fn add(&self, letter: Letter, offset: i64, batch: &mut Batch) -> anyhow::Result<()> {
        if self.options.reason.as_ref().is_some_and(|reason| *reason != letter.reason) {
            return Ok(());
        }
        if !batch.sent.knows(&letter.reason) {
            let next = self.sent_to(Some(&letter.reason), batch.partition).await?;
            batch.sent.learn(&letter.reason, next);
        }
        if !batch.sent.has(&letter.reason, offset) {
            batch.bytes += letter.value.as_ref().map_or(0, Vec::len);
            batch.letters.push(letter);
        }
        Ok(())
    }

    /// Sends what is in `batch`, and commits how far it reaches.
    async fn flush(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
        let letters = std::mem::take(&mut batch.letters);
        batch.bytes = 0;
        let letters = match &self.options.through {
            Some(command) if !letters.is_empty() => through::through(command, letters).await?,
            Some(_) | None => letters.into_iter().map(Some).collect(),
        };
        let dropped = letters.iter().filter(|letter| letter.is_none()).count() as u64;
        let letters: Vec<_> = letters.into_iter().flatten().collect();
        let reasons: Vec<_> = letters.iter().map(|letter| letter.reason.clone()).collect();
        if let Some(transactions) = &self.transactions
            && batch.next > batch.committed
        {
            let records: Vec<_> = letters.into_iter().map(Letter::into_record).collect();
            let position = self.position(batch)?;
            let topic = &self.config.pipeline.pageviews_topic;
            block_in_place(|| transactions.commit(topic, &records, Some(&position)))?;
            let group = sent::group(self.options.reason.as_deref());
            self.place(&group, batch.partition).mark(&self.bucket, batch.next).await?;
            batch.committed = batch.next;
        }
        self.report.sent(reasons, dropped);
        Ok(())
    }

    fn position(&self, batch: &Batch) -> anyhow::Result<Position> {
        let consumer = self.consumer(self.options.reason.as_deref())?;
        let group = consumer.group_metadata().context("the client has no consumer group")?;
        let mut offsets = TopicPartitionList::new();
        let topic = &self.config.pipeline.dead_letters_topic;
        offsets.add_partition_offset(topic, batch.partition, Offset::Offset(batch.next))?;
        Ok(Position { offsets, group })
    }

    /// The dead letters of an object, each with its offset; `None` if it is not there.
    async fn read(&self, key: &str) -> anyhow::Result<Option<Vec<(i64, Result<Letter, Left>)>>> {
        let Some(body) = objects::get(&self.bucket, key).await? else { return Ok(None) };
        let (of, topic) = (key.to_owned(), self.config.pipeline.pageviews_topic.clone());
        let opened = spawn_blocking(move || {
            let mut found = Vec::new();
            decode::decode(&of, body, |record| {
                let envelope = record.envelope.context("it has a line that is no envelope")?;
                found.push((envelope.offset, Letter::open(envelope, &topic)?));
                anyhow::Ok(())
            })?;
            anyhow::Ok(found)
        });
        opened.await?.map(Some).with_context(|| format!("cannot read {key}"))
    }

    fn place<'a>(&'a self, group: &'a str, partition: i32) -> Place<'a> {
        Place { group, topic: &self.config.pipeline.dead_letters_topic, partition }
    }

    /// Up to where earlier runs of a group have sent everything.
    async fn sent_to(&self, reason: Option<&str>, partition: i32) -> anyhow::Result<i64> {
        if self.options.again {
            return Ok(0);
        }
        let marked = self.place(&sent::group(reason), partition).reached(&self.bucket).await?;
        Ok(self.committed(reason, partition)?.max(marked))
    }

    /// The next offset of a group, zero if it has none, or none any more.
    fn committed(&self, reason: Option<&str>, partition: i32) -> anyhow::Result<i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&self.config.pipeline.dead_letters_topic, partition);
        let consumer = self.consumer(reason)?;
        let answer = block_in_place(|| consumer.committed_offsets(asked, TIMEOUT));
        let answer =
            answer.map_err(|error| Unreachable(format!("Kafka cannot tell what was sent: {error}")))?;
        Ok(answer.elements().first().map_or(0, |element| match element.offset() {
            Offset::Offset(offset) => offset,
            _ => 0,
        }))
    }

    /// A client that speaks for a group without joining it.
    fn consumer(&self, reason: Option<&str>) -> anyhow::Result<BaseConsumer> {
        Ok(kafka::consumer_config(self.config, &sent::group(reason)).create()?)
    }
}
