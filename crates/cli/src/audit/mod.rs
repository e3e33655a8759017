//! `pageviews audit`: whether the promise holds, on a pipeline that may be running.
//!
//! ```text
//! S3    -> reader    -> ledgers  -+-> identity:  of these topics
//!       -> keys                   |-> ledger:    entries tile each partition
//!                                 +-> inventory: listed = there
//! Kafka -> positions -> progress -+-> quiet:     everything has arrived
//!                                 |-> coverage:  the ledger knows what Kafka knows of
//!                                 +-> balance:   events = counted + dead + open + repeats
//! S3    -> forgotten -----------------> forgotten: deleted on purpose is gone, and not lost
//! S3    -> aggregates/, late/ ------> rows:      as listed, no minute of a postcode twice
//!       -> raw/, receipt files -+---> events:    as listed
//!                               +---> receipts:  every 202 once
//! S3, Kafka -> deep ------------------> the contents themselves, against checksums, topics and counts
//! ```
//! The ledger is read before the objects are listed, and the positions after it: what is fixed or flushed in between is
//! then recognized as such, and never as a violation.

mod balance;
mod check;
mod coverage;
mod deep;
mod events;
mod forgotten;
mod identity;
mod inventory;
mod ledger;
mod live;
mod positions;
mod quiet;
mod reader;
mod receipts;
mod report;
mod rows;
mod scan;
pub(crate) mod survey;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use model::EpochSeconds;
use s3_sink::Kind;
use s3_sink::bucket::Bucket;
use service::Config;
use service::clock::monotonic;
use service::config::Pipeline;
use tokio::task::block_in_place;

use crate::arguments::{duration, time};
use crate::progress;
use crate::span::Span;
use crate::verdict::Unreachable;
use crate::{Verdict, objects, output};
pub(crate) use check::{Check, Status};
pub(crate) use live::{Audited, Auditor};

use forgotten::Register;
use ledger::TopicLedger;
use positions::Positions;
use quiet::Progress;
use reader::Reader;
use report::Scope;
use scan::Load;

/// Between two looks at a pipeline that is waited for.
const LOOK: Duration = Duration::from_secs(1);
/// How long a cluster that answers may be unable to tell something.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check the promise: every event in raw/ once, and counted once
///
/// Compares the ledger with the objects in the bucket, and what lies in raw/ with what was counted. It may run beside
/// the pipeline; while events are on their way the balance cannot be proved, so stop posting and use --wait.
///
/// It reads aggregates/ and late/; of raw/ and dead-letter/ it takes the ledger's word. With receipts of `pageviews
/// generate` it reads raw/ too and looks for every event: what was answered 202 must be there exactly once, what was
/// perhaps stored at most once, and nothing else.
///
/// With --deep it takes nobody's word: it reads every object, computes its checksum again, compares it with what the
/// topics still hold, and counts every minute again from the events. It needs memory for every minute of a postcode and
/// every event_id: about 100 and 20 bytes.
///
/// Exit 0: the promise holds. 1: it is violated. 2: not provable, or not yet.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A receipt file of `pageviews generate`; may be given several times
    #[arg(long, value_name = "FILE")]
    receipts: Vec<PathBuf>,
    /// How long to wait until everything has arrived
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    wait: Duration,
    /// Read every object, compare it with its checksum and its topic, and count every minute again
    #[arg(long)]
    deep: bool,
    /// With --deep: only what is of this time on, in UTC: 2021-01-26, 2021-01-26T12:04 or 2021-01-26T12:04:00Z. Objects
    /// by the time of ingestion; of the minutes, those that lie wholly between --from and --to
    #[arg(long, value_name = "TIME", value_parser = time, requires = "deep")]
    from: Option<EpochSeconds>,
    /// With --deep: only what is before this time
    #[arg(long, value_name = "TIME", value_parser = time, requires = "deep")]
    to: Option<EpochSeconds>,
    /// As JSON, with every finding
    #[arg(long)]
    json: bool,
}

/// What is judged.
struct Snapshot {
    ledgers: Vec<TopicLedger>,
    progress: Progress,
    register: Register,
    /// The objects that are there, and their sizes in bytes.
    objects: BTreeMap<String, u64>,
    keys: BTreeSet<String>,
    /// Objects that are being written: listed and not there yet, or there and not listed yet.
    in_flight: usize,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let loads = Load::open(&options.receipts)?;
    let span = Span::new(options.from, options.to)?;
    let deadline = monotonic() + options.wait;
    let bucket = objects::bucket(config).await?;
    let topics = topics(&config.pipeline);
    let positions = block_in_place(|| Positions::connect(config, &topics, options.wait.max(LOOK)))?;
    let mut reader = Reader::new(bucket.clone(), &topics);
    let snapshot = quiet_snapshot(&positions, &mut reader, deadline).await?;
    let Snapshot { ledgers, register, objects, .. } = &snapshot;
    let Judged { mut checks, is_settled, is_same_topic, .. } = judge(&bucket, &positions, &snapshot).await?;
    let mut scope = Scope { receipts: !loads.is_empty(), ..Scope::default() };
    if options.deep {
        let found = deep::audit(config, &bucket, &snapshot, span, is_settled, is_same_topic).await?;
        checks.extend(found.checks);
        scope.unproved = found.unproved;
        scope.deep = Some(found.looked_at);
        if loads.is_empty() {
            scope.unproved.push(
                "that every 202 has reached Kafka: only receipts can tell (pageviews generate --receipts)"
                    .to_owned(),
            );
        }
    }
    if scope.receipts {
        let raw = scan::raw(&bucket, ledgers, objects, register, &loads).await?;
        let is_whole = raw.status == Status::Ok && register.records() == 0;
        checks.push(raw);
        checks.extend(loads.iter().map(|load| load.check(is_settled && is_whole)));
    }

    match options.json {
        true => output::line(report::json(&checks, &scope)?)?,
        false => output::line(report::text(&checks, &scope))?,
    }
    Ok(check::worst(&checks).into())
}

/// What the quick audit says of a snapshot.
struct Judged {
    checks: Vec<Check>,
    /// Whether all has arrived: without that, what is missing may be on its way, or was never known.
    is_settled: bool,
    /// Whether what cannot be proved is only what has not arrived.
    is_known: bool,
    /// Whether the ledger is that of these topics.
    is_same_topic: bool,
}

/// Holds everything in `snapshot` against everything else, and reads `aggregates/` and `late/`.
async fn judge(bucket: &Bucket, positions: &Positions, snapshot: &Snapshot) -> anyhow::Result<Judged> {
    let Snapshot { ledgers, progress, register, objects, keys, in_flight } = snapshot;
    let identity = block_in_place(|| identity::check(ledgers, keys, |topic| positions.identity(topic)));
    let is_same_topic = identity.status == Status::Ok;
    let mut checks = vec![identity, coverage::check(ledgers, progress)];
    let is_known = check::worst(&checks) == Status::Ok;
    checks.push(quiet::check(progress, *in_flight));
    let is_settled = check::worst(&checks) == Status::Ok;
    checks.extend([
        ledger::check(ledgers),
        inventory::check_listed(ledgers, progress, keys, register),
        inventory::check_unlisted(ledgers, keys),
    ]);
    checks.extend(forgotten::check(register, keys));
    checks.extend([
        balance::check(ledgers, progress, is_settled),
        balance::check_dead_letters(ledgers, progress, is_settled),
        scan::rows(bucket, ledgers, objects, Kind::Aggregates, progress.partial_rows()).await?,
        scan::rows(bucket, ledgers, objects, Kind::Late, 0).await?,
    ]);
    Ok(Judged { checks, is_settled, is_known, is_same_topic })
}

/// The topics of a pipeline, by the writer that drains them.
pub(crate) fn topics(pipeline: &Pipeline) -> Vec<(Kind, String)> {
    let topic = |kind| match kind {
        Kind::Raw => pipeline.pageviews_topic.clone(),
        Kind::Aggregates => pipeline.aggregates_topic.clone(),
        Kind::Late => pipeline.late_topic.clone(),
        Kind::DeadLetters => pipeline.dead_letters_topic.clone(),
    };
    Kind::ALL.into_iter().map(|kind| (kind, topic(kind))).collect()
}

/// Looks until everything has arrived, or `deadline` has passed.
async fn quiet_snapshot(
    positions: &Positions,
    reader: &mut Reader,
    deadline: Instant,
) -> anyhow::Result<Snapshot> {
    let mut waiting = progress::Progress::new(0);
    // A broker that moves a partition or a group cannot tell for a moment.
    let patience = deadline.max(monotonic() + PATIENCE);
    loop {
        match look(positions, reader).await {
            Ok((ledgers, progress)) => {
                let is_over = monotonic() >= deadline;
                let mut in_flight = 0;
                if progress.is_settled() || is_over {
                    // In this order: an object is written down as forgotten before it is deleted, or looked at again.
                    let objects = reader.objects().await?;
                    let register = reader.forgotten().await?;
                    let keys = objects.keys().cloned().collect();
                    in_flight = inventory::in_flight(&ledgers, &progress, &keys, &register);
                    if in_flight == 0 || is_over {
                        return Ok(Snapshot { ledgers, progress, register, objects, keys, in_flight });
                    }
                }
                waiting.update(0, || quiet::words(&progress, in_flight));
            }
            Err(error) if error.is::<Unreachable>() && monotonic() < patience => {
                waiting.update(0, || error.to_string());
            }
            Err(error) => return Err(error),
        }
        pause().await;
    }
}

async fn look(positions: &Positions, reader: &mut Reader) -> anyhow::Result<(Vec<TopicLedger>, Progress)> {
    let points = block_in_place(|| positions.points())?;
    let ledgers = reader.ledgers().await?;
    let progress = block_in_place(|| positions.progress(&ledgers, points))?;
    Ok((ledgers, progress))
}

#[expect(clippy::disallowed_methods, reason = "polls systems that announce nothing")]
async fn pause() {
    tokio::time::sleep(LOOK).await;
}
