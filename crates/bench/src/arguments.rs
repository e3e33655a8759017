//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use model::EpochMillis;
use service::config::Format;

use crate::events::{Recipe, postcodes};

/// Over how much time the events are spread: windows open and close as they do in real life.
const SPAN: Duration = Duration::from_secs(20 * 60);
/// How many seconds an event may lie before its ingestion.
const DISORDER: u64 = 10;

/// Measures a service beside the least that one can do and what others would do.
///
/// All read the same topic of the same Kafka, one after the other. Progress goes to standard error, a table in Markdown
/// to standard output. A target that is missed is said in the table; the exit code tells only whether it was measured.
#[derive(Debug, Parser)]
#[command(name = "bench", version, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Benchmark {
    /// The aggregator beside a loop that only polls and a Kafka Streams program of the same topology
    Aggregator(AggregatorArguments),
    /// The sink, in each format, beside a plain sink in Java
    Sink(SinkArguments),
}

/// What every benchmark is told.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    /// How many events the topic holds
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(100_000..))]
    pub(crate) events: u64,
    /// How many postcodes they are of
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) postcodes: u32,
    /// How often everything is measured; the table has the medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// A variable for our service: to measure another configuration than the default; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// The same seed makes the same events
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// In which folder to keep the data of Kafka and S3 meanwhile, 3 GB [default: that of temporary files]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AggregatorArguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// How many events a restart has to replay
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(100_000..))]
    pub(crate) replay: u64,
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_enum)]
    only: Vec<Contestant>,
    /// How often the Kafka Streams program commits; its default, 100, is slower
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub(crate) streams_commit_interval_ms: u32,
}

/// What can be measured of the aggregator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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

#[derive(Debug, Args)]
pub(crate) struct SinkArguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_enum)]
    only: Vec<Drainer>,
}

/// What can be measured of the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drainer {
    /// The sink, as it is configured by default
    #[value(name = "ndjson.gz")]
    NdjsonGz,
    /// The sink, uncompressed
    #[value(name = "ndjson")]
    Ndjson,
    /// The sink, compressed by zstd
    #[value(name = "ndjson.zst")]
    NdjsonZst,
    /// The sink, in columns
    #[value(name = "parquet")]
    Parquet,
    /// The plain sink in Java, with the level of gzip that is Java's default
    #[value(name = "java")]
    Java,
    /// The plain sink in Java, with the fastest level of gzip
    #[value(name = "java-fast")]
    JavaFast,
}

/// Which program drains, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// The sink, configured with a format.
    Ours(Format),
    /// The plain sink in Java, with a level of gzip.
    Java { level: u8 },
}

fn variable(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

impl Shared {
    /// What the topic is filled with; the first event is ingested at `start`.
    pub(crate) fn recipe(&self, start: EpochMillis) -> Recipe {
        Recipe {
            seed: self.seed,
            events: self.events,
            postcodes: postcodes(self.postcodes as usize),
            start,
            span: SPAN,
            disorder: DISORDER,
        }
    }
}

impl AggregatorArguments {
    /// Whether `contestant` is to be measured.
    pub(crate) fn has(&self, contestant: Contestant) -> bool {
        self.only.is_empty() || self.only.contains(&contestant)
    }
}

impl SinkArguments {
    /// What is to be measured.
    pub(crate) fn drainers(&self) -> impl Iterator<Item = Drainer> {
        let all = Drainer::value_variants().iter().copied();
        all.filter(|drainer| self.only.is_empty() || self.only.contains(drainer))
    }
}

impl Drainer {
    /// Its program.
    pub(crate) const fn program(self) -> Program {
        match self {
            Self::Ndjson => Program::Ours(Format::Ndjson),
            Self::NdjsonGz => Program::Ours(Format::NdjsonGz),
            Self::NdjsonZst => Program::Ours(Format::NdjsonZst),
            Self::Parquet => Program::Ours(Format::Parquet),
            Self::Java => Program::Java { level: 6 },
            Self::JavaFast => Program::Java { level: 1 },
        }
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

    #[test]
    fn what_drains_is_called_by_its_format() {
        for drainer in Drainer::value_variants() {
            if let Program::Ours(format) = drainer.program() {
                assert_eq!(Drainer::from_str(format.name(), false), Ok(*drainer));
            }
        }
    }
}
