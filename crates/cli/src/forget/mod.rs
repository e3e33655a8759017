//! `pageviews forget`: erases events from the bucket, where somebody has a right to that.
//!
//! ```text
//! ledger, keys, commits -> plan -+- users: read -> rewrite -+-> record -> ledger/forgotten/{id}.json, If-None-Match: *
//! ledger/forgotten/ -------------+- day ---------------------+        \-> then PUT, If-Match: etag; or DELETE
//! ```
//! The ledger's entries stay: they say what was written. The documents say what was taken out since.

mod consent;
mod erase;
mod plan;
mod record;
mod report;
mod rewrite;
mod users;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use service::Config;
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::audit::survey::Survey;
use crate::verdict::Misused;
use crate::{Verdict, objects, output};
use erase::Eraser;
use plan::{Plan, Target};
use report::Report;
use users::Users;

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Erase events from the bucket: those of some users, or all of a day
///
/// By user: every object of raw/, dead-letter/raw/ and dead-letter/topic/ is read, and each that holds events of theirs is
/// written again without them, in place. By day: the objects of that day of ingestion are deleted. Counts hold no
/// person's data and stay. What was done is recorded in ledger/forgotten/, without the ids; the audit knows of it.
///
/// It may be killed at any moment and run again. Kafka holds the events until retention drops them, and a bucket with
/// versions keeps old ones.
///
/// Exit 0: nothing is left. 1: an object cannot be read or rewritten. 2: some objects have to wait; run it again.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Whom,
    /// Say what would be erased, and erase nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// A user; may be given several times
    #[arg(long, value_name = "ID")]
    user_id: Vec<u64>,
    /// A file with the ids of users, one a line
    #[arg(long, value_name = "FILE")]
    user_ids_file: Option<PathBuf>,
    /// A day, in UTC: what lies in the folders of that day of raw/ and dead-letter/. An event lies under the hour in which
    /// the range began that it came in, a dead letter under the day on which it became one
    #[arg(long, value_name = "2026-11-24", value_parser = day)]
    day: Option<Date>,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let target = target(&options.target)?;
    let asks = !options.yes && !options.dry_run;
    if asks {
        consent::possible()?;
    }
    let bucket = objects::bucket(config).await?;
    let survey = Survey::take(config, &bucket, Duration::ZERO).await?;
    let earlier = record::read(&bucket).await?;
    let plan = Plan::of(&survey, &earlier, &target);
    if asks && !consent::given(&question(&plan, &target, &bucket.to_string()))? {
        output::line("nothing was erased")?;
        return Ok(Verdict::Bad);
    }

    let mut report = Report::new(options.dry_run);
    (report.later, report.unlisted) = (plan.later, plan.unlisted);
    let mut eraser = Eraser { bucket, reason: target.reason(), earlier: earlier.into(), report };
    match target {
        Target::Users(users) => eraser.rewrite(users, plan.objects).await?,
        Target::Day(_) => eraser.delete(plan.objects).await?,
    }
    let report = eraser.report;
    match options.json {
        true => output::line(report.json()?)?,
        false => output::line(report.text())?,
    }
    Ok(report.verdict())
}

fn target(whom: &Whom) -> Result<Target, Misused> {
    let users = match (&whom.user_ids_file, whom.day) {
        (_, Some(day)) => return Ok(Target::Day(day)),
        (Some(file), None) => {
            let name = file.display();
            let text = std::fs::read_to_string(file)
                .map_err(|error| Misused(format!("cannot read {name}: {error}")))?;
            Users::parse(&text).map_err(|words| Misused(format!("{name}: {words}")))?
        }
        (None, None) => whom.user_id.iter().copied().collect(),
    };
    match users.len() {
        0 => Err(Misused("there is no user id in the file".to_owned())),
        _ => Ok(Target::Users(users)),
    }
}

fn question(plan: &Plan, target: &Target, bucket: &str) -> String {
    let folders: Vec<_> =
        plan.folders().iter().map(|(folder, count)| format!("{count} in {folder}/")).collect();
    let what = match target {
        Target::Users(_) => "takes {target} out of whichever of these objects",
        Target::Day(_) => "deletes {target}: these objects",
    };
    let (what, folders) = (what.replace("{target}", &target.to_string()), folders.join(", "));
    format!("This {what} of {bucket}: {folders}.")
}

fn day(text: &str) -> Result<Date, String> {
    Date::parse(text, DAY).map_err(|_| "write a day such as 2026-11-24".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_what_and_how_much() {
        let candidate = |key: &str| plan::Candidate { key: key.to_owned(), records: 1, written: None };
        let plan = Plan {
            objects: vec![
                candidate("raw/dt=2026-11-24/hour=13/a"),
                candidate("dead-letter/raw/dt=2026-11-24/a"),
            ],
            ..Plan::default()
        };
        let users = Target::Users([1, 2].into_iter().collect());
        assert_eq!(
            question(&plan, &users, "s3://b (AWS)"),
            "This takes the events of 2 users out of whichever of these objects of s3://b (AWS): 1 in dead-letter/raw/, \
             1 in raw/."
        );
        let day = Target::Day(day("2026-11-24").unwrap());
        assert!(question(&plan, &day, "b").starts_with("This deletes everything under the day 2026-11-24"));
    }
}
