//! Every metric of ingest-api.

use std::cell::RefCell;
use std::time::Duration;

use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use model::Reason;
use rdkafka::error::RDKafkaErrorCode;

const PRODUCED: &str = "pageviews_produced_total";
const REJECTED: &str = "pageviews_rejected_total";
const DELIVERY_FAILURES: &str = "pageviews_delivery_failures_total";
const DELIVERY_SECONDS: &str = "pageviews_delivery_duration_seconds";
const REQUESTS: &str = "http_requests_total";
const REQUEST_SECONDS: &str = "http_request_duration_seconds";
const CONNECTIONS: &str = "http_connections";
const GIVEN_UP: &str = "http_connections_given_up_total";
const IN_FLIGHT: &str = "ingest_in_flight_bytes";
const READING: &str = "ingest_reading_bytes";
const QUEUE_MESSAGES: &str = "kafka_producer_queue_messages";
const QUEUE_BYTES: &str = "kafka_producer_queue_bytes";
const BROKER_UP: &str = "kafka_broker_up";
const API_KEYS: &str = "ingest_api_keys";
const RELOADED: &str = "ingest_files_well";
const UNLOGGED: &str = "http_access_log_dropped_total";

/// Registers what each metric means.
pub(crate) fn describe() {
    describe_counter!(
        PRODUCED,
        "Events answered 202, by endpoint (single, batch): all in-sync replicas have them"
    );
    describe_counter!(
        REJECTED,
        "Faults of events that were refused, by reason: what clients get wrong; a batch that is no JSON array has malformed_json"
    );
    describe_counter!(DELIVERY_FAILURES, "Events that Kafka refused, by error: each made its request a 503");
    describe_histogram!(
        DELIVERY_SECONDS,
        "Time from handing a request's events to Kafka's client until all are acknowledged, in seconds"
    );
    describe_counter!(REQUESTS, "Requests, by route and status");
    describe_histogram!(REQUEST_SECONDS, "Time from a request's head to its answer in seconds, by route");
    describe_gauge!(CONNECTIONS, "Connections of clients, bounded by ingest.max_connections");
    describe_counter!(
        GIVEN_UP,
        "Connections that were closed since the client left a later request's head unfinished, or its answers unread"
    );
    describe_gauge!(
        IN_FLIGHT,
        "Bytes handed to Kafka and not acknowledged yet, bounded by ingest.max_in_flight_bytes"
    );
    describe_gauge!(
        READING,
        "Bytes of bodies that are being read, bounded by ingest.max_in_flight_bytes too"
    );
    describe_gauge!(QUEUE_MESSAGES, "Events in the queue of Kafka's client, or sent and not acknowledged");
    describe_gauge!(QUEUE_BYTES, "Bytes of those events");
    describe_gauge!(BROKER_UP, "Whether the client is connected to a broker, by the broker's id: 1 or 0");
    describe_gauge!(API_KEYS, "API keys that are known, where ingest.api_keys_file is set");
    describe_gauge!(
        RELOADED,
        "Whether the files of a setting were well when they last changed: 0 means that what they said before goes on"
    );
    describe_counter!(
        UNLOGGED,
        "Requests that were to be logged and were not, since their log lines were not written fast enough"
    );
}

/// An endpoint that takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Single,
    Batch,
}

/// A route as a label: few values, whatever paths clients invent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Single,
    Batch,
    Metrics,
    Actuator,
    Docs,
    Other,
}

impl Route {
    const ALL: [Self; 6] =
        [Self::Single, Self::Batch, Self::Metrics, Self::Actuator, Self::Docs, Self::Other];

    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/api/pageviews" => Self::Single,
            "/api/pageviews/batch" => Self::Batch,
            "/metrics" => Self::Metrics,
            "/" | "/docs" | "/openapi.json" => Self::Docs,
            path if path.starts_with("/docs/") => Self::Docs,
            path if path.starts_with("/actuator/") => Self::Actuator,
            _ => Self::Other,
        }
    }

    /// Whether events are posted to it.
    pub(crate) const fn is_api(self) -> bool {
        matches!(self, Self::Single | Self::Batch)
    }

    /// Whether it is asked again and again by whoever watches the process.
    pub(crate) const fn is_management(self) -> bool {
        matches!(self, Self::Metrics | Self::Actuator)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Single => "/api/pageviews",
            Self::Batch => "/api/pageviews/batch",
            Self::Metrics => "/metrics",
            Self::Actuator => "/actuator",
            Self::Docs => "/docs",
            Self::Other => "other",
        }
    }
}

/// The metrics of the hot path, looked up once.
#[derive(Clone)]
pub(crate) struct Handles {
    single: Counter,
    batch: Counter,
    delivery: Histogram,
}

impl Handles {
    pub(crate) fn new() -> Self {
        Self {
            single: counter!(PRODUCED, "endpoint" => "single"),
            batch: counter!(PRODUCED, "endpoint" => "batch"),
            delivery: histogram!(DELIVERY_SECONDS),
        }
    }

    /// Events answered 202.
    pub(crate) fn produced(&self, endpoint: Endpoint, events: usize) {
        let counter = match endpoint {
            Endpoint::Single => &self.single,
            Endpoint::Batch => &self.batch,
        };
        counter.increment(events as u64);
    }

    /// Kafka has answered for a request's events.
    pub(crate) fn delivered(&self, took: Duration) {
        self.delivery.record(took.as_secs_f64());
    }
}

/// Counts requests; one for each worker thread.
pub(crate) struct Requests {
    /// For each of [`Route::ALL`].
    routes: [RouteHandles; Route::ALL.len()],
}

struct RouteHandles {
    route: &'static str,
    seconds: Histogram,
    /// For each status that was answered: a handful.
    answers: RefCell<Vec<(u16, Counter)>>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let handles = |route: Route| RouteHandles {
            route: route.name(),
            seconds: histogram!(REQUEST_SECONDS, "route" => route.name()),
            answers: RefCell::default(),
        };
        Self { routes: Route::ALL.map(handles) }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: Route, status: u16, took: Duration) {
        let handles = &self.routes[route as usize];
        handles.seconds.record(took.as_secs_f64());
        let mut answers = handles.answers.borrow_mut();
        match answers.iter().find(|(known, _)| *known == status) {
            Some((_, counter)) => counter.increment(1),
            None => {
                let counter = counter!(REQUESTS, "route" => handles.route, "status" => status.to_string());
                counter.increment(1);
                answers.push((status, counter));
            }
        }
    }
}

/// A connection has come.
pub(crate) fn connected() {
    gauge!(CONNECTIONS).increment(1.0);
}

/// It has gone.
pub(crate) fn disconnected() {
    gauge!(CONNECTIONS).decrement(1.0);
}

/// It was closed since its client did nothing.
pub(crate) fn given_up() {
    counter!(GIVEN_UP).increment(1);
}

/// So many faults of events that were refused.
pub(crate) fn rejected(reason: Reason, count: u64) {
    counter!(REJECTED, "reason" => reason.as_str()).increment(count);
}

/// An event that Kafka refused.
pub(crate) fn delivery_failed(error: RDKafkaErrorCode) {
    counter!(DELIVERY_FAILURES, "error" => format!("{error:?}")).increment(1);
}

/// What the two budgets hold now.
pub(crate) fn bytes(in_flight: u64, reading: u64) {
    gauge!(IN_FLIGHT).set(in_flight as f64);
    gauge!(READING).set(reading as f64);
}

/// What the queue of Kafka's client holds.
pub(crate) fn producer_queue(messages: u64, bytes: u64) {
    gauge!(QUEUE_MESSAGES).set(messages as f64);
    gauge!(QUEUE_BYTES).set(bytes as f64);
}

/// Whether a broker is connected to.
pub(crate) fn broker(id: i32, is_up: bool) {
    gauge!(BROKER_UP, "broker" => id.to_string()).set(if is_up { 1.0 } else { 0.0 });
}

/// How many API keys there are.
pub(crate) fn api_keys(count: usize) {
    gauge!(API_KEYS).set(count as f64);
}

/// Whether the files of `setting` could be used when they last changed.
pub(crate) fn reloaded(setting: &'static str, well: bool) {
    gauge!(RELOADED, "setting" => setting).set(if well { 1.0 } else { 0.0 });
}

/// A request whose log line was given up.
pub(crate) fn unlogged() {
    counter!(UNLOGGED).increment(1);
}
