//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use service::config::Setting as _;

use crate::{audit, counts, generate, topics};

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
    Generate(generate::Options),
    Counts(counts::Options),
    Audit(audit::Options),
}

/// A duration, written as in the configuration: `30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    Duration::parse(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
