//! Every metric of ingest-api.

use std::cell::RefCell;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};
use model::Reason;
use rdkafka::error::RDKafkaErrorCode;
use service::View;
use service::metrics::Metric;

const PRODUCED: Metric = Metric::counter(
    "pageviews_produced_total",
    &["endpoint"],
    "Events answered 202, by endpoint (single, batch): all in-sync replicas have them",
);
const REJECTED: Metric = Metric::counter(
    "pageviews_rejected_total",
    &["reason"],
    "Faults of events that were refused, by reason: what clients get wrong; a batch that is no JSON array has \
     malformed_json",
);
const DELIVERY_FAILURES: Metric = Metric::counter(
    "pageviews_delivery_failures_total",
    &["error"],
    "Events that Kafka refused, by error: each made its request a 503",
);
const DELIVERY_SECONDS: Metric = Metric::histogram(
    "pageviews_delivery_duration_seconds",
    &[],
    "Time from handing a request's events to Kafka's client until all are acknowledged, in seconds",
);
const REQUESTS: Metric =
    Metric::counter("http_requests_total", &["route", "status"], "Requests, by route and status");
const REQUEST_SECONDS: Metric = Metric::histogram(
    "http_request_duration_seconds",
    &["route"],
    "Time from a request's head to its answer in seconds, by route",
);
const CONNECTIONS: Metric =
    Metric::gauge("http_connections", &[], "Connections of clients, bounded by ingest.max_connections");
const GIVEN_UP: Metric = Metric::counter(
    "http_connections_given_up_total",
    &[],
    "Connections that were closed since the client left a later request's head unfinished, or its answers unread",
);
const IN_FLIGHT: Metric = Metric::gauge(
    "ingest_in_flight_bytes",
    &[],
    "Bytes handed to Kafka and not acknowledged yet, bounded by ingest.max_in_flight_bytes",
);
const READING: Metric = Metric::gauge(
    "ingest_reading_bytes",
    &[],
    "Bytes of bodies that are being read, bounded by ingest.max_in_flight_bytes too",
);
const QUEUE_MESSAGES: Metric = Metric::gauge(
    "kafka_producer_queue_messages",
    &[],
    "Events in the queue of Kafka's client, or sent and not acknowledged",
);
const QUEUE_BYTES: Metric = Metric::gauge("kafka_producer_queue_bytes", &[], "Bytes of those events");
const BROKER_UP: Metric = Metric::gauge(
    "kafka_broker_up",
    &["broker"],
    "Whether the client is connected to a broker, by the broker's id: 1 or 0",
);
const API_KEYS: Metric =
    Metric::gauge("ingest_api_keys", &[], "API keys that are known, where ingest.api_keys_file is set");
const RELOADED: Metric = Metric::gauge(
    "ingest_files_well",
    &["setting"],
    "Whether the files of a setting were well when they last changed: 0 means that what they said before goes on",
);
const UNLOGGED: Metric = Metric::counter(
    "http_access_log_dropped_total",
    &[],
    "Requests that were to be logged and were not, since their log lines were not written fast enough",
);

/// All of them.
pub const METRICS: [Metric; 16] = [
    PRODUCED,
    REJECTED,
    DELIVERY_FAILURES,
    DELIVERY_SECONDS,
    REQUESTS,
    REQUEST_SECONDS,
    CONNECTIONS,
    GIVEN_UP,
    IN_FLIGHT,
    READING,
    QUEUE_MESSAGES,
    QUEUE_BYTES,
    BROKER_UP,
    API_KEYS,
    RELOADED,
    UNLOGGED,
];

/// What clients send, and how it was answered; CloudWatch need not know who asked for health.
pub const VIEWS: [View; 3] = [
    View { name: "http.requests", metric: REQUESTS.name, only: &[API] },
    View { name: "http.requests.5xx", metric: REQUESTS.name, only: &[API, ("status", "5")] },
    View { name: "http.request.duration", metric: REQUEST_SECONDS.name, only: &[API] },
];

const API: (&str, &str) = ("route", "/api/");

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
            single: counter!(PRODUCED.name, "endpoint" => "single"),
            batch: counter!(PRODUCED.name, "endpoint" => "batch"),
            delivery: histogram!(DELIVERY_SECONDS.name),
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

/// Answers of the API that are there from the start, at zero: the first of what was not there is invisible to rates.
const EXPECTED: [u16; 4] = [202, 400, 500, 503];

struct RouteHandles {
    route: &'static str,
    seconds: Histogram,
    /// For each status that was answered: a handful.
    answers: RefCell<Vec<(u16, Counter)>>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let handles = |route: Route| {
            let answers = if route.is_api() {
                EXPECTED.map(|status| (status, requests(route.name(), status))).to_vec()
            } else {
                Vec::new()
            };
            RouteHandles {
                route: route.name(),
                seconds: histogram!(REQUEST_SECONDS.name, "route" => route.name()),
                answers: RefCell::new(answers),
            }
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
                let counter = requests(handles.route, status);
                counter.increment(1);
                answers.push((status, counter));
            }
        }
    }
}

fn requests(route: &'static str, status: u16) -> Counter {
    counter!(REQUESTS.name, "route" => route, "status" => status.to_string())
}

/// A connection has come.
pub(crate) fn connected() {
    gauge!(CONNECTIONS.name).increment(1.0);
}

/// It has gone.
pub(crate) fn disconnected() {
    gauge!(CONNECTIONS.name).decrement(1.0);
}

/// It was closed since its client did nothing.
pub(crate) fn given_up() {
    counter!(GIVEN_UP.name).increment(1);
}

/// So many faults of events that were refused.
pub(crate) fn rejected(reason: Reason, count: u64) {
    counter!(REJECTED.name, "reason" => reason.as_str()).increment(count);
}

/// An event that Kafka refused.
pub(crate) fn delivery_failed(error: RDKafkaErrorCode) {
    counter!(DELIVERY_FAILURES.name, "error" => format!("{error:?}")).increment(1);
}

/// What the two budgets hold now.
pub(crate) fn bytes(in_flight: u64, reading: u64) {
    gauge!(IN_FLIGHT.name).set(in_flight as f64);
    gauge!(READING.name).set(reading as f64);
}

/// What the queue of Kafka's client holds.
pub(crate) fn producer_queue(messages: u64, bytes: u64) {
    gauge!(QUEUE_MESSAGES.name).set(messages as f64);
    gauge!(QUEUE_BYTES.name).set(bytes as f64);
}

/// Whether a broker is connected to.
pub(crate) fn broker(id: i32, is_up: bool) {
    gauge!(BROKER_UP.name, "broker" => id.to_string()).set(if is_up { 1.0 } else { 0.0 });
}

/// How many API keys there are.
pub(crate) fn api_keys(count: usize) {
    gauge!(API_KEYS.name).set(count as f64);
}

/// Whether the files of `setting` could be used when they last changed.
pub(crate) fn reloaded(setting: &'static str, well: bool) {
    gauge!(RELOADED.name, "setting" => setting).set(if well { 1.0 } else { 0.0 });
}

/// A request whose log line was given up.
pub(crate) fn unlogged() {
    counter!(UNLOGGED.name).increment(1);
}
