//! The API's tables for docs/benchmarks.md.

use std::fmt;

use hdrhistogram::Histogram;

use crate::table::{Column, Results, Target, in_megabytes, in_millions, targets, with_two_digits};
use crate::usage::Usage;

/// What was measured; those that take requests by the events in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    IngestApi(usize),
    Actix(usize),
    Naive(usize),
    Bare,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    usage: Usage,
    /// In milliseconds; not a number where there are no requests.
    p50: f64,
    p99: f64,
    p999: f64,
}

/// The Java original (Spring Boot, kafka-clients), measured once on this kind of machine, which answers without waiting
/// for Kafka: events/s and CPU seconds per million, in batches of 100 and alone.
const JAVA_BATCH: (f64, f64) = (50e3, 32.0);
const JAVA_SINGLE: (f64, f64) = (4.6e3, 347.0);

impl Run {
    pub(super) fn new(usage: Usage, micros: &Histogram<u64>) -> Self {
        let millis = |quantile| micros.value_at_quantile(quantile) as f64 / 1e3;
        Self { usage, p50: millis(0.5), p99: millis(0.99), p999: millis(0.999) }
    }

    pub(super) fn without_latency(usage: Usage) -> Self {
        Self { usage, p50: f64::NAN, p99: f64::NAN, p999: f64::NAN }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IngestApi(size) => write!(f, "ingest-api, {size} a request"),
            Self::Actix(size) => write!(f, "actix-web without Kafka, {size} a request"),
            Self::Naive(size) => write!(f, "the naive handler, {size} a request"),
            Self::Bare => write!(f, "a loop around rdkafka's `send`, no HTTP"),
        }
    }
}

const RATE: Column<Run> = Column { name: "events/s", of: |run| run.usage.rate(), write: in_millions };
const CPU: Column<Run> =
    Column { name: "CPU s per million", of: |run| run.usage.cpu_per_million(), write: with_two_digits };
const P50: Column<Run> = Column { name: "p50", of: |run| run.p50, write: in_millis };
const P99: Column<Run> = Column { name: "p99", of: |run| run.p99, write: in_millis };
const P999: Column<Run> = Column { name: "p99.9", of: |run| run.p999, write: in_millis };
const RSS: Column<Run> =
    Column { name: "peak RSS", of: |run| run.usage.peak_rss as f64, write: in_megabytes };

fn in_millis(millis: f64) -> String {
    if millis.is_nan() { "-".to_owned() } else { format!("{millis:.1} ms") }
}

/// Tells how a run went.
pub(super) fn say(subject: Subject, run: &Run) {
    crate::table::say(subject, &run.usage);
    eprintln!("  p50 {}, p99 {}, p99.9 {}", in_millis(run.p50), in_millis(run.p99), in_millis(run.p999));
}

/// The table and the targets.
pub(super) fn to_markdown(results: &Results<Subject, Run>) -> String {
    use Subject::{Actix, Bare, IngestApi, Naive};
    let subjects = [
        IngestApi(1000),
        Naive(1000),
        Actix(1000),
        IngestApi(100),
        Naive(100),
        Actix(100),
        IngestApi(1),
        Naive(1),
        Actix(1),
        Bare,
    ];
    let columns = [RATE, CPU, P50, P99, P999, RSS];
    results.table(&subjects, None, &columns) + "\n" + &judge(results)
}

fn judge(results: &Results<Subject, Run>) -> String {
    use Subject::{Actix, IngestApi};
    let of = |size, column: &Column<Run>| results.median(IngestApi(size), column);
    let at_least =
        |limit, text: &str, value: Option<f64>| value.map(|value| Target::at_least(limit, text, value));
    let at_most =
        |limit, text: &str, value: Option<f64>| value.map(|value| Target::at_most(limit, text, value));
    let millions = |rate: Option<f64>| rate.map(|rate| rate / 1e6);
    targets([
        at_least(1.5, "1,000 a request: at least 1.5 M events/s, in millions", millions(of(1000, &RATE))),
        at_most(0.7, "1,000 a request: at most 0.7 CPU s per million", of(1000, &CPU)),
        at_least(1.2, "100 a request: at least 1.2 M events/s, in millions", millions(of(100, &RATE))),
        at_most(15.0, "100 a request: p99 below 15 ms", of(100, &P99)),
        at_least(
            0.5,
            "single: at least half of actix-web without Kafka",
            results.ratio(&RATE, IngestApi(1), Actix(1)),
        ),
        at_least(
            20.0,
            "100 a request: at least 20 times the Java original",
            of(100, &RATE).map(|rate| rate / JAVA_BATCH.0),
        ),
        at_most(
            0.05,
            "100 a request: at most a twentieth of its CPU",
            of(100, &CPU).map(|cpu| cpu / JAVA_BATCH.1),
        ),
        at_least(
            12.0,
            "single: at least 12 times the Java original",
            of(1, &RATE).map(|rate| rate / JAVA_SINGLE.0),
        ),
        at_most(0.05, "single: at most a twentieth of its CPU", of(1, &CPU).map(|cpu| cpu / JAVA_SINGLE.1)),
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn targets_are_judged_where_they_were_measured() {
        let run = |events, cpu, p99| Run {
            usage: Usage {
                events,
                took: Duration::from_secs(10),
                cpu: Duration::from_secs(cpu),
                peak_rss: 0,
            },
            p50: 1.0,
            p99,
            p999: 20.0,
        };
        let mut results = Results::default();
        results.add(Subject::IngestApi(1000), run(16_000_000, 16, 9.0));
        results.add(Subject::IngestApi(100), run(12_000_000, 8, 16.0));
        let text = to_markdown(&results);
        assert!(text.contains("at least 1.5 M events/s, in millions | 1.600 | met |"), "{text}");
        assert!(text.contains("at most 0.7 CPU s per million | 1.000 | **missed** |"), "{text}");
        assert!(text.contains("p99 below 15 ms | 16.000 | **missed** |"), "{text}");
        assert!(text.contains("20 times the Java original | 24.000 | met |"), "{text}");
        assert!(!text.contains("without Kafka"), "{text}");
    }
}
