//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures the aggregator beside a loop that only polls and a Kafka Streams program of the same topology.
///
/// All read the same topic of the same Kafka, one after the other. Progress goes to standard error, a table in Markdown
/// to standard output. A target that is missed is said in the table; the exit code tells only whether it was measured.
#[derive(Debug, Parser)]
#[command(name = "bench", version, max_term_width = 100)]
pub struct Arguments {
    /// How many events the topic holds
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(100_000..))]
    pub(crate) events: u64,
    /// How many events a restart has to replay
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(100_000..))]
    pub(crate) replay: u64,
    /// How many postcodes they are of
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) postcodes: u32,
    /// How often everything is measured; the table has the medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Contestant>,
    /// How often the Kafka Streams program commits; its default, 100, is slower
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub(crate) streams_commit_interval_ms: u32,
    /// A variable for the aggregator: to measure another configuration than the default; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// The same seed makes the same events
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// In which folder to keep Kafka's data meanwhile, 2 GB [default: that of temporary files]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Contestant {
    /// The aggregator
    Aggregator,
    /// The loop that only polls
    Bare,
    /// The Kafka Streams program
    Streams,
    /// A restart of the aggregator with events to replay, and the loop over the same
    Restart,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

impl Arguments {
    /// Whether `contestant` is to be measured.
    pub(crate) fn has(&self, contestant: Contestant) -> bool {
        self.only.is_empty() || self.only.contains(&contestant)
    }
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
