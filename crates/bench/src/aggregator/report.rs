//! The aggregator's tables for docs/benchmarks.md.

use std::fmt;

use crate::table::{
    Column, Results, Target, in_megabytes, in_millions, in_seconds, targets, with_two_digits,
};
use crate::usage::Usage;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Aggregator,
    Bare,
    Streams,
    Restart,
    /// The loop that only polls, over what the restart replays.
    BareReplay,
}

impl Subject {
    const ALL: [Self; 5] = [Self::Aggregator, Self::Bare, Self::Streams, Self::Restart, Self::BareReplay];
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aggregator => "aggregator",
            Self::Bare => "`BaseConsumer` that only polls, system's allocator",
            Self::Streams => "Kafka Streams, exactly_once_v2",
            Self::Restart => "restart of the aggregator",
            Self::BareReplay => "the loop that only polls, over the same",
        })
    }
}

const TOOK: Column<Usage> = Column { name: "time", of: |usage| usage.took.as_secs_f64(), write: in_seconds };
const RATE: Column<Usage> = Column { name: "events/s", of: Usage::rate, write: in_millions };
const CPU: Column<Usage> =
    Column { name: "CPU s per million", of: Usage::cpu_per_million, write: with_two_digits };
const RSS: Column<Usage> =
    Column { name: "peak RSS", of: |usage| usage.peak_rss as f64, write: in_megabytes };

/// The table and the targets.
pub(crate) fn to_markdown(results: &Results<Subject, Usage>) -> String {
    let table = results.table(&Subject::ALL, Some(|usage| usage.events), &[TOOK, RATE, CPU, RSS]);
    table + "\n" + &judge(results)
}

fn judge(results: &Results<Subject, Usage>) -> String {
    use Subject::{Aggregator, Bare, BareReplay, Restart, Streams};
    let rss = results.median(Aggregator, &RSS).map(|bytes| bytes / 1e6);
    targets([
        results
            .ratio(&RATE, Aggregator, Streams)
            .map(|ratio| Target::at_least(8.0, "at least 8 times the events/s of Kafka Streams", ratio)),
        results
            .ratio(&CPU, Aggregator, Streams)
            .map(|ratio| Target::at_most(0.1, "at most a tenth of the CPU of Kafka Streams", ratio)),
        rss.map(|megabytes| Target::at_most(150.0, "peak RSS at most 150 MB, in MB", megabytes)),
        results.ratio(&RATE, Aggregator, Bare).map(|ratio| {
            let target =
                "at least 1.5 times the events/s of the loop that only polls (two threads against its one)";
            Target::at_least(1.5, target, ratio)
        }),
        results.ratio(&TOOK, Restart, BareReplay).map(|ratio| {
            Target::at_most(
                1.5,
                "a restart within 1.5 times the time of the loop over the same events",
                ratio,
            )
        }),
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn usage(seconds: u64, cpu: u64, megabytes: u64) -> Usage {
        Usage {
            events: 10_000_000,
            took: Duration::from_secs(seconds),
            cpu: Duration::from_secs(cpu),
            peak_rss: megabytes * 1_000_000,
        }
    }

    #[test]
    fn targets_are_judged_where_both_sides_were_measured() {
        let mut results = Results::default();
        results.add(Subject::Aggregator, usage(4, 4, 160));
        results.add(Subject::Streams, usage(40, 40, 600));
        let text = to_markdown(&results);
        let row = "| Kafka Streams, exactly_once_v2 | 10 M | 40.00 s | 250 k | 4.00 | 600 MB |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| at least 8 times the events/s of Kafka Streams | 10.000 | met |"), "{text}");
        assert!(text.contains("| at most a tenth of the CPU of Kafka Streams | 0.100 | met |"), "{text}");
        assert!(text.contains("| peak RSS at most 150 MB, in MB | 160.000 | **missed** |"), "{text}");
        assert_eq!(text.lines().count(), 4 + 1 + 5);
    }
}
