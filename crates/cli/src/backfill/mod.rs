//! `pageviews backfill`: counts minutes again from `raw/`, compares, and mends.
//!
//! ```text
//! S3 -> dead-letter/topic/, raw/ -> minutes -+-> compare -> report
//!    -> aggregates/, late/ ------------------+      |
//!                                                   +--> mend: rows -> late-pageview-aggregates, or recount/
//! ```

mod compare;
mod count;
mod mend;
mod reach;
mod report;

use std::time::Duration;

use clap::{Args, ValueEnum};
use model::EpochSeconds;
use service::{Config, clock};
use tokio::task::block_in_place;

use crate::arguments::{duration, time};
use crate::audit::survey::Survey;
use crate::transaction::Transactions;
use crate::{Verdict, objects, output};
use reach::Reach;
use report::Report;

/// Names the one that may send rows: another run is shut out by it.
const TRANSACTIONAL_ID: &str = "pageview-backfill";

/// Count minutes again from raw/, and compare with what was counted
///
/// The count of a minute must not be less than its different events, by the aggregator's rule for event_id, and not more
/// than all of them. Reads the ranges in which events of these minutes can lie, up to the newest, as an event may come
/// late. It needs memory for every minute of a postcode and every event_id.
///
/// Exit 0: all counts are right, or were mended. 1: some are wrong. 2: not provable, or not yet.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The first minute, in UTC: 2026-11-24T12:00
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: EpochSeconds,
    /// The end: the first minute that is not counted again
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: EpochSeconds,
    /// Leave out events that were ingested at this time or later; what is in excess then proves nothing
    #[arg(long, value_name = "TIME", value_parser = time)]
    ingested_until: Option<EpochSeconds>,
    /// Mend the counts, once everything has arrived and the minutes are closed
    #[arg(long, value_enum)]
    write: Option<Write>,
    /// How long to wait until everything has arrived
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    wait: Duration,
    /// As JSON, with every difference
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Write {
    /// Send rows for what is missing to the topic of late counts: counts add up
    Missing,
    /// Write the counts to recount/, to be read instead of aggregates/ and late/ for these minutes
    Recount,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let Options { from, to, ingested_until, write, .. } = *options;
    let now = clock::now().to_seconds();
    let reach = Reach::new((from, to), ingested_until, config.pipeline.max_future_skew, now)?;
    let bucket = objects::bucket(config).await?;
    // Before anything is looked at: rows that another run sends afterwards are not in what we see, and it shuts us out.
    let transactions = match write {
        Some(Write::Missing) => Some(block_in_place(|| Transactions::start(config, TRANSACTIONAL_ID))?),
        Some(Write::Recount) | None => None,
    };
    let survey = Survey::take(config, &bucket, options.wait).await?;
    let counted = count::count(&bucket, &survey, &reach, &config.pipeline.pageviews_topic).await?;
    let mut report = Report::new(reach.span.to_string(), &survey.unsettled, &counted);

    let missing = compare::missing(&report.differences);
    if let Some(transactions) = transactions
        && !missing.is_empty()
    {
        report.refused = report.against_missing();
        if report.refused.is_empty() {
            let records = mend::records(&missing);
            block_in_place(|| transactions.commit(&config.pipeline.late_topic, &records, None))?;
            report.sent = missing.len() as u64;
        }
    }
    if write == Some(Write::Recount) && !report.differences.is_empty() {
        report.refused = report.against_recount();
        if report.refused.is_empty() {
            let rows = compare::recounted(&counted.minutes);
            report.written = mend::replace(&bucket, (from, to), &rows).await?;
        }
    }
    match options.json {
        true => output::line(report.json()?)?,
        false => output::line(report.text())?,
    }
    Ok(report.verdict())
}
