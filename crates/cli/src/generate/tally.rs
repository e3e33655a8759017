//! How the requests of a load ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::HumanCount;
use serde::Serialize;

use crate::receipts::Answer;

/// The longest latency told apart, in microseconds.
const LONGEST: u64 = 60_000_000;

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// 202 for all its events.
    Accepted,
    /// A 4xx.
    Refused(u16),
    /// A 5xx.
    Unavailable(u16),
    /// An answer that this API does not give: something else listens there, or it accepted another number.
    Odd(u16),
    /// The connection broke, or no answer came in time.
    Lost,
    /// Nobody listens: not a byte was sent.
    Unreached,
}

impl Outcome {
    /// Reads an answer to a request of `sent` events; `accepted` is the number in its body.
    pub(super) fn of(status: u16, accepted: Option<u64>, sent: u64) -> Self {
        match status {
            202 if accepted == Some(sent) => Self::Accepted,
            400..500 => Self::Refused(status),
            500..600 => Self::Unavailable(status),
            _ => Self::Odd(status),
        }
    }

    /// Its name in JSON.
    const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::Odd(_) => "odd",
            Self::Lost => "lost",
            Self::Unreached => "unreached",
        }
    }

    /// The HTTP status, where there was an answer.
    const fn status(self) -> Option<u16> {
        match self {
            Self::Accepted => Some(202),
            Self::Refused(status) | Self::Unavailable(status) | Self::Odd(status) => Some(status),
            Self::Lost | Self::Unreached => None,
        }
    }

    /// What it says about the events.
    pub(super) const fn answer(self) -> Answer {
        match self {
            Self::Accepted => Answer::Accepted,
            // Validation is all or nothing: a request that was refused has stored nothing.
            Self::Refused(_) | Self::Unreached => Answer::Refused,
            Self::Unavailable(_) | Self::Odd(_) | Self::Lost => Answer::Unknown,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("202 accepted"),
            Self::Refused(status) => write!(f, "{status} refused"),
            Self::Unavailable(status) => write!(f, "{status} unavailable, perhaps stored"),
            Self::Odd(status) => write!(f, "{status} not expected, perhaps stored"),
            Self::Lost => f.write_str("no answer, perhaps stored"),
            Self::Unreached => f.write_str("no connection, not sent"),
        }
    }
}

/// Requests and events that ended alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) requests: u64,
    pub(super) events: u64,
    /// What the first of them was told.
    pub(super) words: Option<String>,
}

/// The report for programs.
#[derive(Serialize)]
struct Document<'a> {
    seed: u64,
    seconds: f64,
    accepted: u64,
    /// From sending to 202; `null` if there was none.
    latency_ms: Option<Latency>,
    outcomes: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
}

#[derive(Serialize)]
struct Line<'a> {
    outcome: &'static str,
    status: Option<u16>,
    requests: u64,
    events: u64,
    /// What the first of them was told.
    first: Option<&'a str>,
}

/// What one connection, or all of them, saw.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) outcomes: BTreeMap<Outcome, Count>,
    /// From sending to 202, in microseconds.
    latencies: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self { outcomes: BTreeMap::new(), latencies: Histogram::new_with_bounds(1, LONGEST, 3)? })
    }

    pub(super) fn record(&mut self, outcome: Outcome, events: u64, took: Duration, words: Option<String>) {
        let count = self.outcomes.entry(outcome).or_default();
        count.requests += 1;
        count.events += events;
        count.words = count.words.take().or(words);
        if outcome == Outcome::Accepted {
            self.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    pub(super) fn add(&mut self, other: Self) -> anyhow::Result<()> {
        for (outcome, count) in other.outcomes {
            let sum = self.outcomes.entry(outcome).or_default();
            sum.requests += count.requests;
            sum.events += count.events;
            sum.words = sum.words.take().or(count.words);
        }
        Ok(self.latencies.add(other.latencies)?)
    }

    pub(super) fn events(&self, answer: Answer) -> u64 {
        self.outcomes
            .iter()
            .filter(|(outcome, _)| outcome.answer() == answer)
            .map(|(_, count)| count.events)
            .sum()
    }

    /// Whether something was answered that a good load on a good API is never told.
    pub(super) fn is_refused(&self) -> bool {
        self.outcomes.keys().any(|outcome| matches!(outcome, Outcome::Refused(_) | Outcome::Odd(_)))
    }

    /// The report of a load that took `elapsed`.
    pub(super) fn report(&self, elapsed: Duration) -> String {
        let accepted = self.events(Answer::Accepted);
        let per_second = (accepted as f64 / elapsed.as_secs_f64()) as u64;
        let mut lines = vec![format!(
            "accepted {} events in {:.1} s: {} events/s",
            HumanCount(accepted),
            elapsed.as_secs_f64(),
            HumanCount(per_second)
        )];
        if accepted > 0 {
            let Latency { p50, p99 } = self.latency();
            lines.push(format!("answered in {p50:.1} ms (p50), {p99:.1} ms (p99)"));
        }
        for (outcome, Count { requests, events, words }) in &self.outcomes {
            lines.push(format!(
                "{:>12} events in {:>9} requests: {outcome}",
                HumanCount(*events).to_string(),
                HumanCount(*requests).to_string()
            ));
            lines.extend(words.iter().map(|words| format!("             first: {words}")));
        }
        lines.join("\n")
    }

    /// [`Tally::report`] as JSON.
    pub(super) fn json(&self, seed: u64, elapsed: Duration) -> serde_json::Result<String> {
        let accepted = self.events(Answer::Accepted);
        let outcomes = self.outcomes.iter().map(|(outcome, Count { requests, events, words })| Line {
            outcome: outcome.name(),
            status: outcome.status(),
            requests: *requests,
            events: *events,
            first: words.as_deref(),
        });
        serde_json::to_string_pretty(&Document {
            seed,
            seconds: elapsed.as_secs_f64(),
            accepted,
            latency_ms: (accepted > 0).then(|| self.latency()),
            outcomes: outcomes.collect(),
        })
    }

    fn latency(&self) -> Latency {
        let latency = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Latency { p50: latency(0.5), p99: latency(0.99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_says_what_it_says_about_the_events() {
        for (outcome, answer) in [
            (Outcome::of(202, Some(5), 5), Answer::Accepted),
            (Outcome::of(202, Some(4), 5), Answer::Unknown),
            (Outcome::of(202, None, 5), Answer::Unknown),
            (Outcome::of(200, None, 5), Answer::Unknown),
            (Outcome::of(400, None, 5), Answer::Refused),
            (Outcome::of(429, None, 5), Answer::Refused),
            (Outcome::of(503, None, 5), Answer::Unknown),
            (Outcome::Lost, Answer::Unknown),
            (Outcome::Unreached, Answer::Refused),
        ] {
            assert_eq!(outcome.answer(), answer, "{outcome:?}");
        }
    }

    #[test]
    fn connections_add_up() {
        let mut all = Tally::new().unwrap();
        for (outcome, events) in [(Outcome::Accepted, 100), (Outcome::Lost, 100), (Outcome::Accepted, 50)] {
            let mut one = Tally::new().unwrap();
            one.record(outcome, events, Duration::from_millis(2), None);
            all.add(one).unwrap();
        }
        assert_eq!((all.events(Answer::Accepted), all.events(Answer::Unknown)), (150, 100));
        let report = all.report(Duration::from_secs(2));
        assert!(
            report.starts_with("accepted 150 events in 2.0 s: 75 events/s\nanswered in 2.0 ms (p50)"),
            "{report}"
        );
        assert!(report.contains("100 events in         1 requests: no answer, perhaps stored"), "{report}");
    }

    #[test]
    fn programs_are_told_every_outcome() {
        let mut tally = Tally::new().unwrap();
        tally.record(Outcome::Accepted, 100, Duration::from_millis(2), None);
        tally.record(Outcome::Unavailable(503), 50, Duration::ZERO, Some("no Kafka".to_owned()));
        tally.record(Outcome::Lost, 50, Duration::ZERO, None);
        let json: serde_json::Value =
            serde_json::from_str(&tally.json(7, Duration::from_secs(2)).unwrap()).unwrap();
        assert_eq!((&json["seed"], &json["accepted"]), (&7.into(), &100.into()));
        assert_eq!(
            json["outcomes"],
            serde_json::json!([
                {"outcome": "accepted", "status": 202, "requests": 1, "events": 100, "first": null},
                {"outcome": "unavailable", "status": 503, "requests": 1, "events": 50, "first": "no Kafka"},
                {"outcome": "lost", "status": null, "requests": 1, "events": 50, "first": null},
            ])
        );
    }
}
