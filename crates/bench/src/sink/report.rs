//! The sink's tables for docs/benchmarks.md.

use std::fmt;

use clap::ValueEnum as _;

use crate::arguments::{Drainer, Program};
use crate::table::{
    Column, Results, Target, in_megabytes, in_millions, in_seconds, targets, with_two_digits,
};
use crate::usage::Usage;

/// What one run took, and what it was of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drain {
    pub(super) usage: Usage,
    /// The size of the events' values.
    pub(super) bytes: u64,
    /// The size of the objects.
    pub(super) stored: u64,
}

/// The default of `sink.memory_limit`, and what else the process may take, in MB.
const MEMORY: f64 = ((256_u64 + 100) << 20) as f64 / 1e6;

const TOOK: Column<Drain> =
    Column { name: "time", of: |drain| drain.usage.took.as_secs_f64(), write: in_seconds };
const RATE: Column<Drain> = Column { name: "events/s", of: |drain| drain.usage.rate(), write: in_millions };
const BYTES: Column<Drain> = Column {
    name: "MB/s of events",
    of: |drain| drain.bytes as f64 / drain.usage.took.as_secs_f64(),
    write: |rate| format!("{:.0}", rate / 1e6),
};
const CPU: Column<Drain> =
    Column { name: "CPU s per million", of: |drain| drain.usage.cpu_per_million(), write: with_two_digits };
const RSS: Column<Drain> =
    Column { name: "peak RSS", of: |drain| drain.usage.peak_rss as f64, write: in_megabytes };
const STORED: Column<Drain> = Column { name: "in S3", of: |drain| drain.stored as f64, write: in_megabytes };

impl fmt::Display for Drainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.program() {
            Program::Ours(format) => write!(f, "s3-sink, `{}`", format.name()),
            Program::Ceiling(format) => write!(f, "its consumer and encoders alone, `{}`", format.name()),
            Program::Java { level } => write!(f, "plain sink in Java, `ndjson.gz` of level {level}"),
        }
    }
}

/// The table and the targets.
pub(super) fn to_markdown(results: &Results<Drainer, Drain>) -> String {
    let columns = [TOOK, RATE, BYTES, CPU, RSS, STORED];
    let table = results.table(Drainer::value_variants(), Some(|drain| drain.usage.events), &columns);
    table + "\n" + &judge(results)
}

fn judge(results: &Results<Drainer, Drain>) -> String {
    use Drainer::{Ceiling, Java, JavaFast, NdjsonGz, NdjsonZst, Parquet};
    let rate = |limit, drainer: Drainer| {
        let millions = results.median(drainer, &RATE)? / 1e6;
        let text = format!("{drainer}: at least {limit:.1} M events/s, in M");
        Some(Target::at_least(limit, text, millions))
    };
    let ours =
        Drainer::value_variants().iter().filter(|drainer| matches!(drainer.program(), Program::Ours(_)));
    let rss = ours.filter_map(|drainer| results.median(*drainer, &RSS)).reduce(f64::max);
    let faster = |java: Drainer| {
        let ratio = results.ratio(&RATE, NdjsonGz, java)?;
        Some(Target::at_least(5.0, format!("at least 5 times the events/s of the {java}"), ratio))
    };
    let cheaper = |java: Drainer| {
        let ratio = results.ratio(&CPU, NdjsonGz, java)?;
        Some(Target::at_most(0.2, format!("at most a fifth of the CPU of the {java}"), ratio))
    };
    targets([
        rate(1.2, NdjsonGz),
        rate(1.0, NdjsonZst),
        rate(1.0, Parquet),
        results
            .median(NdjsonGz, &CPU)
            .map(|cpu| Target::at_most(0.9, format!("{NdjsonGz}: at most 0.9 CPU s per million"), cpu)),
        results.ratio(&CPU, NdjsonGz, Ceiling).map(|ratio| {
            Target::at_most(1.25, "at most 1.25 times the CPU of its consumer and encoders alone", ratio)
        }),
        faster(Java),
        cheaper(Java),
        faster(JavaFast),
        cheaper(JavaFast),
        rss.map(|bytes| {
            let text = format!("peak RSS at most {MEMORY:.0} MB: 100 MiB over `sink.memory_limit`, in MB");
            Target::at_most(MEMORY, text, bytes / 1e6)
        }),
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn drain(seconds: u64, cpu: u64, megabytes: u64) -> Drain {
        let usage = Usage {
            events: 10_000_000,
            took: Duration::from_secs(seconds),
            cpu: Duration::from_secs(cpu),
            peak_rss: megabytes * 1_000_000,
        };
        Drain { usage, bytes: 1_100_000_000, stored: 150_000_000 }
    }

    #[test]
    fn targets_are_judged_where_both_sides_were_measured() {
        let mut results = Results::default();
        results.add(Drainer::NdjsonGz, drain(5, 10, 100));
        results.add(Drainer::Parquet, drain(20, 10, 400));
        let text = to_markdown(&results);
        let row = "| s3-sink, `ndjson.gz` | 10 M | 5.00 s | 2.00 M | 220 | 1.00 | 100 MB | 150 MB |\n";
        assert!(text.contains(row), "{text}");
        for line in [
            "| s3-sink, `ndjson.gz`: at least 1.2 M events/s, in M | 2.000 | met |",
            "| s3-sink, `parquet`: at least 1.0 M events/s, in M | 0.500 | **missed** |",
            "| s3-sink, `ndjson.gz`: at most 0.9 CPU s per million | 1.000 | **missed** |",
            "| peak RSS at most 373 MB: 100 MiB over `sink.memory_limit`, in MB | 400.000 | **missed** |",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("of the plain sink"), "{text}");
        results.add(Drainer::Java, drain(25, 50, 900));
        results.add(Drainer::Ceiling, drain(5, 8, 30));
        let text = to_markdown(&results);
        assert!(
            text.contains("| at least 5 times the events/s of the plain sink in Java, `ndjson.gz` of level 6 | 5.000 | met |"),
            "{text}"
        );
        let line = "| at most 1.25 times the CPU of its consumer and encoders alone | 1.250 | met |";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("| at most a fifth of the CPU of the plain sink in Java, `ndjson.gz` of level 6 | 0.200 | met |"), "{text}");
    }
}
