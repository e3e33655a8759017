//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use model::EpochMillis;
use service::config::{Format, Setting as _};

use crate::events::{Recipe, postcodes};

/// Over how much time the events are spread: windows open and close as they do in real life.
pub(crate) const SPAN: Duration = Duration::from_secs(20 * 60);
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
    /// The sink, in each format, beside its own consumer and encoders alone, and a plain sink in Java
    Sink(SinkArguments),
    /// The API at 1, 100 and 1,000 events a request, beside actix-web without Kafka and the handler that one writes first
    Ingest(IngestArguments),
    /// What `ingest` measures beside the API
    #[command(hide = true)]
    Rival(RivalArguments),
    /// What `sink` measures as the ceiling
    #[command(hide = true)]
    Ceiling(CeilingArguments),
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

#[derive(Debug, Args)]
pub(crate) struct IngestArguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    /// How long each is measured
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Events in a request, of 1, 100 and 1000, separated by commas [default: all]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    sizes: Vec<usize>,
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_enum)]
    only: Vec<Poster>,
}

/// What can be measured of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Poster {
    /// ingest-api
    IngestApi,
    /// actix-web that answers 202 without Kafka
    Actix,
    /// A typed extractor and a future for every event
    Naive,
    /// A loop that produces `--events` events, without HTTP
    Bare,
}

/// What the process of a rival is told.
#[derive(Debug, Args)]
pub(crate) struct RivalArguments {
    /// Which one
    #[arg(value_enum)]
    pub(crate) kind: RivalKind,
    /// Where Kafka is
    pub(crate) bootstrap: String,
    /// Where events go
    pub(crate) topic: String,
    /// Where it listens
    pub(crate) port: u16,
    /// How many events it produces, if it does so by itself
    #[arg(default_value_t = 0)]
    pub(crate) events: u64,
}

/// Which rival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RivalKind {
    Bare,
    Actix,
    Naive,
}

/// What the process of the ceiling is told.
#[derive(Debug, Args)]
pub(crate) struct CeilingArguments {
    /// Where Kafka is
    pub(crate) bootstrap: String,
    /// How records are encoded
    #[arg(value_parser = Format::parse)]
    pub(crate) format: Format,
    /// How many records there are
    pub(crate) records: u64,
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
    /// The consumer and the encoders of the sink, as by default, without any upload
    #[value(name = "ceiling")]
    Ceiling,
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
    /// Its consumer and its encoders alone.
    Ceiling(Format),
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

impl IngestArguments {
    /// Whether `poster` is to be measured.
    pub(crate) fn has(&self, poster: Poster) -> bool {
        self.only.is_empty() || self.only.contains(&poster)
    }

    /// Whether requests of `size` events are.
    pub(crate) fn has_size(&self, size: usize) -> bool {
        self.sizes.is_empty() || self.sizes.contains(&size)
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
            Self::Ceiling => Program::Ceiling(Format::NdjsonGz),
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
