//! `pageviews audit`: whether the promise holds, on a pipeline that may be running.
//!
//! ```text
//! S3    -> reader    -> ledgers  -+-> identity:  of these topics
//!       -> keys                   |-> ledger:    entries tile each partition
//!                                 +-> inventory: listed = there
//! Kafka -> positions -> progress -+-> quiet:     everything has arrived
//!                                 |-> coverage:  the ledger knows what Kafka knows of
//!                                 +-> balance:   events = counted + dead + open + repeats
//! S3    -> aggregates/, late/ ------> rows:      as listed, no minute of a postcode twice
//!       -> raw/, receipt files -+---> events:    as listed
//!                               +---> receipts:  every 202 once
//! ```
//! The ledger is read before the objects are listed, and the positions after it: what is fixed or flushed in between is
//! then recognized as such, and never as a violation.

mod balance;
mod check;
mod coverage;
mod events;
mod identity;
mod inventory;
mod ledger;
mod positions;
mod quiet;
mod reader;
mod receipts;
mod report;
mod rows;
mod scan;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use s3_sink::Kind;
use service::Config;
use service::clock::monotonic;
use service::config::Pipeline;
use tokio::task::block_in_place;

use crate::arguments::duration;
use crate::progress;
use crate::verdict::Unreachable;
use crate::{Verdict, objects, output};
use check::Status;
use ledger::TopicLedger;
use positions::Positions;
use quiet::Progress;
use reader::Reader;
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
/// Exit 0: the promise holds. 1: it is violated. 2: not provable, or not yet.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A receipt file of `pageviews generate`; may be given several times
    #[arg(long, value_name = "FILE")]
    receipts: Vec<PathBuf>,
    /// How long to wait until everything has arrived
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    wait: Duration,
    /// As JSON, with every finding
    #[arg(long)]
    json: bool,
}

/// What is judged.
struct Snapshot {
    ledgers: Vec<TopicLedger>,
    progress: Progress,
    keys: BTreeSet<String>,
    /// Objects that are being written: listed and not there yet, or there and not listed yet.
    in_flight: usize,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let loads = Load::open(&options.receipts)?;
    let deadline = monotonic() + options.wait;
    let bucket = objects::bucket(config).await?;
    let topics = topics(&config.pipeline);
    let positions = block_in_place(|| Positions::connect(config, &topics, options.wait.max(LOOK)))?;
    let mut reader = Reader::new(bucket.clone(), &topics);
    let Snapshot { ledgers, progress, keys, in_flight } =
        quiet_snapshot(&positions, &mut reader, deadline).await?;

    let identity = block_in_place(|| identity::check(&ledgers, &keys, |topic| positions.identity(topic)));
    let mut checks = vec![identity, coverage::check(&ledgers, &progress), quiet::check(&progress, in_flight)];
    // Without these, what is missing may be on its way, or was never known.
    let is_settled = check::worst(&checks) == Status::Ok;
    checks.extend([
        ledger::check(&ledgers),
        inventory::check_listed(&ledgers, &progress, &keys),
        inventory::check_unlisted(&ledgers, &keys),
        balance::check(&ledgers, &progress, is_settled),
        balance::check_dead_letters(&ledgers, &progress, is_settled),
        scan::rows(&bucket, &ledgers, &keys, Kind::Aggregates, progress.partial_rows()).await?,
        scan::rows(&bucket, &ledgers, &keys, Kind::Late, 0).await?,
    ]);
    if !loads.is_empty() {
        let raw = scan::raw(&bucket, &ledgers, &keys, &loads).await?;
        let is_whole = raw.status == Status::Ok;
        checks.push(raw);
        checks.extend(loads.iter().map(|load| load.check(is_settled && is_whole)));
    }

    let with_receipts = !loads.is_empty();
    match options.json {
        true => output::line(report::json(&checks, with_receipts)?)?,
        false => output::line(report::text(&checks, with_receipts))?,
    }
    Ok(check::worst(&checks).into())
}

/// The topics of a pipeline, by the writer that drains them.
fn topics(pipeline: &Pipeline) -> Vec<(Kind, String)> {
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
                    let keys = reader.keys().await?;
                    in_flight = inventory::in_flight(&ledgers, &progress, &keys);
                    if in_flight == 0 || is_over {
                        return Ok(Snapshot { ledgers, progress, keys, in_flight });
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
