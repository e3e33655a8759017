//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use ::time::format_description::well_known::Rfc3339;
use ::time::{OffsetDateTime, UtcOffset};
use clap::{Parser, Subcommand};
use model::EpochSeconds;
use service::config::Setting as _;

use crate::{audit, backfill, bucket, counts, dashboard, forget, generate, redrive, topics, watch};

/// The operator's hand on a pageview pipeline.
///
/// Every command reads the configuration of the services, so that it talks to the same Kafka and the same bucket:
/// defaults, then the file of --config, PAGEVIEW_CONFIG or PAGEVIEW_PROFILE (local, test, aws), then variables such as
/// PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS.
#[derive(Debug, Parser)]
#[command(name = "pageviews", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 good, 1 failed or violated, 2 not provable or not reachable, 64 wrong usage or configuration.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Topics(topics::Options),
    Bucket(bucket::Options),
    Generate(generate::Options),
    Counts(counts::Options),
    Audit(audit::Options),
    Dashboard(dashboard::Options),
    Watch(watch::Options),
    Backfill(backfill::Options),
    Redrive(redrive::Options),
    Forget(forget::Options),
}

/// A duration, written as in the configuration: `30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text)
}

/// A time in UTC, whole or in part.
pub(crate) fn time(text: &str) -> Result<EpochSeconds, String> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    };
    OffsetDateTime::parse(&whole, &Rfc3339)
        .map(|time| EpochSeconds(time.to_offset(UtcOffset::UTC).unix_timestamp()))
        .map_err(|_| "write a time such as 2021-01-26, 2021-01-26T12:04 or 2021-01-26T12:04:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_may_be_written_in_part() {
        for (text, seconds) in [
            ("2021-01-26", 1_611_619_200),
            ("2021-01-26T12:04", 1_611_662_640),
            ("2021-01-26T12:04:44", 1_611_662_684),
            ("2021-01-26T12:04:44Z", 1_611_662_684),
            ("2021-01-26T13:04:44+01:00", 1_611_662_684),
        ] {
            assert_eq!(time(text), Ok(EpochSeconds(seconds)), "{text}");
        }
        assert!(time("yesterday").is_err() && time("2021-13-26").is_err());
    }
}
