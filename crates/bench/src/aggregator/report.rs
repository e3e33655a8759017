//! The table that goes into docs/benchmarks.md.

use std::fmt::{self, Write as _};

use crate::usage::Usage;

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Results {
    runs: Vec<(Subject, Usage)>,
}

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

/// A quantity of a run, and how it is written.
struct Column {
    of: fn(&Usage) -> f64,
    write: fn(f64) -> String,
}

const RATE: Column = Column { of: Usage::rate, write: in_millions };
const CPU: Column = Column { of: Usage::cpu_per_million, write: |cpu| format!("{cpu:.2}") };
const RSS: Column =
    Column { of: |usage| usage.peak_rss as f64 / 1e6, write: |megabytes| format!("{megabytes:.0} MB") };
const TOOK: Column =
    Column { of: |usage| usage.took.as_secs_f64(), write: |seconds| format!("{seconds:.2} s") };

impl Results {
    /// Adds a run.
    pub(crate) fn add(&mut self, subject: Subject, usage: Usage) {
        self.runs.push((subject, usage));
    }

    /// The table and the targets, in Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let mut text = String::from(
            "| median (lowest to highest) | events | time | events/s | CPU s per million | peak RSS |\n\
             | --- | --- | --- | --- | --- | --- |\n",
        );
        for subject in Subject::ALL {
            if let Some(events) = self.of(subject).map(|usage| usage.events).next() {
                let events = events as f64 / 1e6;
                let cells = [TOOK, RATE, CPU, RSS].map(|column| self.cell(subject, &column)).join(" | ");
                // Writing into memory does not fail.
                let _ = writeln!(text, "| {subject} | {events} M | {cells} |");
            }
        }
        text + "\n" + &self.targets()
    }

    fn targets(&self) -> String {
        use Subject::{Aggregator, Bare, BareReplay, Restart, Streams};
        let at_least = |limit: f64, value: Option<f64>| value.map(|value| (value, value >= limit));
        let at_most = |limit: f64, value: Option<f64>| value.map(|value| (value, value <= limit));
        let rss = self.median(Aggregator, &RSS);
        let targets = [
            (
                "at least 8 times the events/s of Kafka Streams",
                at_least(8.0, self.ratio(&RATE, Aggregator, Streams)),
            ),
            (
                "at most a tenth of the CPU of Kafka Streams",
                at_most(0.1, self.ratio(&CPU, Aggregator, Streams)),
            ),
            ("peak RSS below 150 MB, in MB", rss.map(|rss| (rss, rss < 150.0))),
            (
                "at least 1.5 times the events/s of the loop that only polls (two threads against its one)",
                at_least(1.5, self.ratio(&RATE, Aggregator, Bare)),
            ),
            (
                "a restart within 1.5 times the time of the loop over the same events",
                at_most(1.5, self.ratio(&TOOK, Restart, BareReplay)),
            ),
        ];
        let mut text = String::from("| target | measured | |\n| --- | --- | --- |\n");
        for (target, measured) in targets {
            if let Some((value, met)) = measured {
                let _ =
                    writeln!(text, "| {target} | {value:.3} | {} |", if met { "met" } else { "**missed**" });
            }
        }
        text
    }

    fn of(&self, subject: Subject) -> impl Iterator<Item = &Usage> {
        self.runs.iter().filter(move |(of, _)| *of == subject).map(|(_, usage)| usage)
    }

    fn median(&self, subject: Subject, column: &Column) -> Option<f64> {
        median(&mut self.of(subject).map(column.of).collect::<Vec<_>>())
    }

    fn ratio(&self, column: &Column, one: Subject, other: Subject) -> Option<f64> {
        Some(self.median(one, column)? / self.median(other, column)?)
    }

    fn cell(&self, subject: Subject, column: &Column) -> String {
        let mut values: Vec<f64> = self.of(subject).map(column.of).collect();
        let middle = median(&mut values).map(column.write).unwrap_or_default();
        match values.as_slice() {
            [lowest, .., highest] => {
                format!("{middle} ({} to {})", (column.write)(*lowest), (column.write)(*highest))
            }
            _ => middle,
        }
    }
}

fn in_millions(rate: f64) -> String {
    if rate < 1e6 { format!("{:.0} k", rate / 1e3) } else { format!("{:.2} M", rate / 1e6) }
}

/// The middle of `values`, which are put into order; of an even number the mean of the two.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
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
    fn medians() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_table_has_medians_and_what_they_lie_between() {
        let mut results = Results::default();
        for (seconds, cpu, megabytes) in [(4, 4, 100), (2, 3, 200), (5, 5, 120)] {
            results.add(Subject::Aggregator, usage(seconds, cpu, megabytes));
        }
        results.add(Subject::Streams, usage(40, 50, 600));
        let text = results.to_markdown();
        let row = "| aggregator | 10 M | 4.00 s (2.00 s to 5.00 s) | 2.50 M (2.00 M to 5.00 M) | 0.40 (0.30 to 0.50) | \
                   120 MB (100 MB to 200 MB) |\n";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("| Kafka Streams, exactly_once_v2 | 10 M | 40.00 s | 250 k | 5.00 | 600 MB |\n"),
            "{text}"
        );
    }

    #[test]
    fn targets_are_judged_where_both_sides_were_measured() {
        let mut results = Results::default();
        results.add(Subject::Aggregator, usage(4, 4, 160));
        results.add(Subject::Streams, usage(40, 40, 600));
        let text = results.targets();
        assert!(text.contains("| at least 8 times the events/s of Kafka Streams | 10.000 | met |"), "{text}");
        assert!(text.contains("| at most a tenth of the CPU of Kafka Streams | 0.100 | met |"), "{text}");
        assert!(text.contains("| peak RSS below 150 MB, in MB | 160.000 | **missed** |"), "{text}");
        assert_eq!(text.lines().count(), 5);
    }
}
