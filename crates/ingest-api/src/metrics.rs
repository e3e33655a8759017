//! Every metric of ingest-api.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use model::Reason;
use rdkafka::error::KafkaError;

const PRODUCED: &str = "pageviews_produced_total";
const REJECTED: &str = "pageviews_rejected_total";
const DELIVERY_FAILURES: &str = "pageviews_delivery_failures_total";
const REQUESTS: &str = "http_requests_total";
const REQUEST_SECONDS: &str = "http_request_duration_seconds";
const IN_FLIGHT: &str = "ingest_in_flight_bytes";

/// Registers what each metric means.
pub(crate) fn describe() {
    describe_counter!(
        PRODUCED,
        "Events answered 202, by endpoint (single, batch): all in-sync replicas have them"
    );
    describe_counter!(
        REJECTED,
        "Faults of events in requests answered 400, by reason: what clients get wrong"
    );
    describe_counter!(DELIVERY_FAILURES, "Events that Kafka refused, by error: each made its request a 503");
    describe_counter!(REQUESTS, "Requests, by route and status");
    describe_histogram!(REQUEST_SECONDS, "Time from a request's head to its answer in seconds, by route");
    describe_gauge!(
        IN_FLIGHT,
        "Bytes handed to Kafka and not acknowledged yet, bounded by ingest.max_in_flight_bytes"
    );
}

/// Events answered 202.
pub(crate) fn produced(endpoint: &'static str, events: usize) {
    counter!(PRODUCED, "endpoint" => endpoint).increment(events as u64);
}

/// A fault of an event that was refused.
pub(crate) fn rejected(reason: Reason) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(1);
}

/// An event that Kafka refused.
pub(crate) fn delivery_failed(error: &KafkaError) {
    let code = error.rdkafka_error_code().map_or_else(|| "unknown".to_owned(), |code| format!("{code:?}"));
    counter!(DELIVERY_FAILURES, "error" => code).increment(1);
}

/// A request that was answered.
pub(crate) fn request(route: &'static str, status: u16, took: Duration) {
    counter!(REQUESTS, "route" => route, "status" => status.to_string()).increment(1);
    histogram!(REQUEST_SECONDS, "route" => route).record(took.as_secs_f64());
}

/// What the budget of bytes in flight holds now.
pub(crate) fn in_flight_bytes(bytes: u64) {
    gauge!(IN_FLIGHT).set(bytes as f64);
}
