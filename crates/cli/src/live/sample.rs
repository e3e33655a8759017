//! What one replica says of itself: its metrics and its health, and of both what is shown.

use std::collections::BTreeMap;

use serde::Deserialize;
use service::metrics::text::{self, Sample as Line};

use super::address::Service;

/// What is counted from a replica's start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    /// Events answered 202.
    Accepted,
    /// Requests that were to post events, those that were answered 4xx, and 5xx.
    Requests,
    Refused,
    Failed,
    /// Events read by the aggregator, those read again after a restore included.
    Consumed,
    Replayed,
    /// Events in committed rows, in rows of late counts, and the rows.
    Counted,
    Late,
    Rows,
    Repeats,
    DeadLetters,
    /// Offsets that retention dropped before they were counted.
    Missed,
    /// Objects, the bytes in them, and the events in those of `raw/`.
    Objects,
    Bytes,
    Stored,
    /// Offsets that retention dropped before they were in S3.
    LostOffsets,
    /// Seconds of CPU time.
    Cpu,
}

/// What a replica says at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) counters: BTreeMap<Counter, f64>,
    /// How many requests were answered within so many microseconds, by the upper bound; `u64::MAX` is all.
    pub(crate) answers: BTreeMap<u64, f64>,
    pub(crate) open_windows: f64,
    pub(crate) open_counts: f64,
    /// Seconds that stream time is behind, where there is stream time.
    pub(crate) behind: Option<f64>,
    /// Offsets still to be taken in: of the aggregator under an empty name, of the sink by writer.
    pub(crate) lag: BTreeMap<String, f64>,
    /// Partitions that have stopped.
    pub(crate) parked: f64,
    /// Age of the oldest record that was read and is not in S3, in seconds.
    pub(crate) oldest: f64,
    /// Bytes in RAM.
    pub(crate) memory: f64,
    pub(crate) version: Option<String>,
}

/// Whether it is about requests that post events.
fn is_api(line: &Line<'_>) -> bool {
    line.label("route").is_some_and(|route| route.starts_with("/api/"))
}

impl Sample {
    /// Reads what `/metrics` of a replica of `service` answers; what it does not know it passes over.
    pub(crate) fn parse(service: Service, text: &str) -> Self {
        let mut sample = Self::default();
        text::samples(text).for_each(|line| sample.take(service, &line));
        sample
    }

    fn take(&mut self, service: Service, line: &Line<'_>) {
        let value = line.value;
        match line.name {
            "pageviews_produced_total" => self.count(Counter::Accepted, value),
            "http_requests_total" if is_api(line) => {
                self.count(Counter::Requests, value);
                match line.label("status").and_then(|status| status.chars().next()) {
                    Some('4') => self.count(Counter::Refused, value),
                    Some('5') => self.count(Counter::Failed, value),
                    _ => {}
                }
            }
            "http_request_duration_seconds_bucket" if is_api(line) => {
                if let Some(bound) = line.label("le").and_then(microseconds) {
                    *self.answers.entry(bound).or_default() += value;
                }
            }
            "pageviews_consumed_total" => self.count(Counter::Consumed, value),
            "pageviews_replayed_total" => self.count(Counter::Replayed, value),
            "pageviews_counted_total" => self.count(Counter::Counted, value),
            "pageviews_late_total" => self.count(Counter::Late, value),
            "aggregator_rows_total" => self.count(Counter::Rows, value),
            "pageviews_repeats_total" => self.count(Counter::Repeats, value),
            // In ingest-api these are faults of events that it refused.
            "pageviews_rejected_total" if service == Service::Aggregator => {
                self.count(Counter::DeadLetters, value)
            }
            "aggregator_offsets_missed_total" => self.count(Counter::Missed, value),
            "s3_writes_total" => self.count(Counter::Objects, value),
            "s3_written_bytes_total" => self.count(Counter::Bytes, value),
            "s3_written_records_total" if line.label("writer") == Some("raw") => {
                self.count(Counter::Stored, value);
            }
            "s3_lost_offsets_total" => self.count(Counter::LostOffsets, value),
            "process_cpu_seconds_total" => self.count(Counter::Cpu, value),
            "aggregator_open_windows" => self.open_windows += value,
            "aggregator_open_keys" => self.open_counts += value,
            "aggregator_stream_time_behind_seconds" => {
                self.behind = Some(self.behind.map_or(value, |behind| behind.max(value)));
            }
            "aggregator_consumer_lag" => *self.lag.entry(String::new()).or_default() += value,
            "s3_consumer_lag" => {
                let writer = line.label("writer").unwrap_or_default();
                *self.lag.entry(writer.to_owned()).or_default() += value;
            }
            "s3_parked_partitions" => self.parked += value,
            "s3_oldest_unflushed_seconds" => self.oldest = self.oldest.max(value),
            "process_resident_memory_bytes" => self.memory = value,
            "pageview_build_info" => self.version = line.label("version").map(str::to_owned),
            _ => {}
        }
    }

    fn count(&mut self, counter: Counter, value: f64) {
        *self.counters.entry(counter).or_default() += value;
    }

    /// The value of a counter; zero where it has not begun.
    pub(crate) fn counter(&self, counter: Counter) -> f64 {
        self.counters.get(&counter).copied().unwrap_or(0.0)
    }
}

fn microseconds(bound: &str) -> Option<u64> {
    match bound.parse::<f64>().ok()? {
        seconds if seconds.is_finite() => Some((seconds * 1e6).round() as u64),
        _ => Some(u64::MAX),
    }
}

/// What is wrong with a component of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Such as `kafka`.
    pub(crate) component: String,
    /// In the component's own words.
    pub(crate) words: String,
}

impl Trouble {
    /// Whether the replica was told to stop.
    pub(crate) fn is_stop(&self) -> bool {
        self.component == "readinessState" && self.words == "stopping"
    }
}

#[derive(Deserialize)]
struct Report {
    status: String,
    #[serde(default)]
    components: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Component {
    status: String,
    #[serde(default)]
    details: BTreeMap<String, serde_json::Value>,
}

/// What is wrong by `/actuator/health`: nothing where the replica is well.
///
/// # Errors
/// When it is no such answer.
pub(crate) fn troubles(health: &[u8]) -> serde_json::Result<Vec<Trouble>> {
    let report: Report = serde_json::from_slice(health)?;
    if report.status == "UP" {
        return Ok(Vec::new());
    }
    let down = report.components.into_iter().filter(|(_, component)| component.status != "UP");
    let trouble = |(component, Component { status, details }): (String, Component)| {
        let words = details.get("error").and_then(serde_json::Value::as_str);
        Trouble { component, words: words.map_or(status, str::to_owned) }
    };
    let mut troubles: Vec<_> = down.map(trouble).collect();
    if troubles.is_empty() {
        troubles.push(Trouble { component: "health".to_owned(), words: report.status });
    }
    Ok(troubles)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INGEST: &str = "\
# HELP http_requests_total Requests, by route and status
# TYPE http_requests_total counter
http_requests_total{route=\"/api/pageviews/batch\",status=\"202\"} 90
http_requests_total{route=\"/api/pageviews\",status=\"400\"} 4
http_requests_total{route=\"/api/pageviews\",status=\"503\"} 6
http_requests_total{route=\"/metrics\",status=\"200\"} 1000
pageviews_produced_total{endpoint=\"single\"} 7
pageviews_rejected_total{reason=\"malformed_json\"} 3
pageviews_produced_total{endpoint=\"batch\"} 9000
http_request_duration_seconds_bucket{route=\"/api/pageviews\",le=\"0.0005\"} 3
http_request_duration_seconds_bucket{route=\"/api/pageviews/batch\",le=\"0.0005\"} 50
http_request_duration_seconds_bucket{route=\"/api/pageviews/batch\",le=\"+Inf\"} 90
http_request_duration_seconds_bucket{route=\"/metrics\",le=\"+Inf\"} 1000
process_cpu_seconds_total 1.5
pageview_build_info{service=\"ingest-api\",version=\"0.1.0\"} 1
nonsense
half{a=\"1\"} x
";

    #[test]
    fn what_is_shown_is_taken_and_the_rest_is_passed_over() {
        let sample = Sample::parse(Service::IngestApi, INGEST);
        let counters =
            [Counter::Accepted, Counter::Requests, Counter::Refused, Counter::Failed, Counter::Cpu];
        assert_eq!(counters.map(|counter| sample.counter(counter)), [9007.0, 100.0, 4.0, 6.0, 1.5]);
        assert_eq!(sample.answers, [(500, 53.0), (u64::MAX, 90.0)].into());
        assert_eq!((sample.version.as_deref(), sample.behind), (Some("0.1.0"), None));
        assert_eq!(sample.counter(Counter::DeadLetters), 0.0);
        let dead = |service| Sample::parse(service, INGEST).counter(Counter::DeadLetters);
        assert_eq!(dead(Service::Aggregator), 3.0);
    }

    #[test]
    fn gauges_of_threads_and_writers_are_put_together() {
        let sample = Sample::parse(
            Service::S3Sink,
            "aggregator_stream_time_behind_seconds{thread=\"0\"} 2\n\
             aggregator_stream_time_behind_seconds{thread=\"1\"} 5\n\
             aggregator_open_windows{thread=\"0\"} 3\naggregator_open_windows{thread=\"1\"} 4\n\
             s3_consumer_lag{writer=\"raw\"} 10\ns3_consumer_lag{writer=\"late\"} 1\n\
             s3_written_records_total{writer=\"raw\"} 6\ns3_written_records_total{writer=\"late\"} 100\n\
             s3_oldest_unflushed_seconds{writer=\"raw\"} 9.5\ns3_oldest_unflushed_seconds{writer=\"late\"} 2\n",
        );
        assert_eq!((sample.behind, sample.open_windows, sample.oldest), (Some(5.0), 7.0, 9.5));
        assert_eq!(sample.lag, [("late".to_owned(), 1.0), ("raw".to_owned(), 10.0)].into());
        assert_eq!(sample.counter(Counter::Stored), 6.0);
    }

    #[test]
    fn trouble_is_told_in_the_component_s_own_words() {
        let up = br#"{"status":"UP","components":{"kafka":{"status":"UP","details":{"lag":7}}}}"#;
        assert_eq!(troubles(up).unwrap(), []);
        let down = br#"{"status":"DOWN","components":{"kafka":{"status":"UP"},
            "s3":{"status":"DOWN","details":{"error":"no such bucket","lag":7}},
            "readinessState":{"status":"OUT_OF_SERVICE"}}}"#;
        let words: Vec<_> = troubles(down).unwrap().into_iter().map(|it| (it.component, it.words)).collect();
        let expected = [("readinessState", "OUT_OF_SERVICE"), ("s3", "no such bucket")];
        assert_eq!(words, expected.map(|(component, words)| (component.to_owned(), words.to_owned())));
        assert_eq!(troubles(br#"{"status":"DOWN"}"#).unwrap()[0].words, "DOWN");
        assert!(troubles(b"<html>").is_err());
    }
}
