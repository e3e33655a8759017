//! What is shown: the pipeline at one moment. Its JSON is what the page and programs read; fields may be added.

use serde::Serialize;

/// The pipeline at one moment. Rates are a second, spans in seconds unless they say otherwise; what is not known is null.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Snapshot {
    /// RFC 3339, in UTC.
    pub(crate) at: String,
    pub(crate) verdict: Verdict,
    pub(crate) intake: Intake,
    pub(crate) counting: Counting,
    pub(crate) storing: Storing,
    pub(crate) top: Option<TopMinutes>,
    pub(crate) services: Vec<Service>,
    pub(crate) kafka: Reach,
    pub(crate) s3: Reach,
    pub(crate) objects: Vec<Folder>,
    pub(crate) audit: Audit,
}

/// The answer to: is it working, how fast, is anything lost?
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) level: Level,
    /// One sentence.
    pub(crate) words: String,
    /// What is not as it should be, one by one: changes where `words` only counts on.
    pub(crate) reasons: Vec<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Nobody has had time to answer.
    #[default]
    Looking,
    Working,
    /// Something is away or behind, and nothing is lost.
    Degraded,
    /// The promise is broken.
    Lost,
    /// None of the services answers.
    Unreachable,
}

/// What ingest-api takes.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Intake {
    /// Events answered 202.
    pub(crate) events: Option<f64>,
    /// The same over the last five minutes, a point for five seconds, the oldest first.
    pub(crate) curve: Vec<Option<f64>>,
    pub(crate) requests: Option<f64>,
    /// Within so many milliseconds half of the requests of the last minute were answered, and 99 of 100.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// The share of requests of the last minute that were answered 4xx, and 5xx.
    pub(crate) refused: Option<f64>,
    pub(crate) failed: Option<f64>,
}

/// What the aggregator makes of it.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Counting {
    /// Events read.
    pub(crate) read: Option<f64>,
    /// Events in rows, rows, and events in late rows: means of the last two minutes, since windows close by the minute.
    pub(crate) counted: Option<f64>,
    pub(crate) rows: Option<f64>,
    pub(crate) late: Option<f64>,
    /// Retries counted once, and dead letters, of the last five minutes.
    pub(crate) repeats: f64,
    pub(crate) dead_letters: f64,
    pub(crate) open_windows: f64,
    /// Counts of a postcode in them.
    pub(crate) open_counts: f64,
    /// How far stream time is behind the clock, where it is most.
    pub(crate) behind: Option<f64>,
    /// Events in Kafka that have not been read.
    pub(crate) waiting: Option<u64>,
    pub(crate) next: Option<NextWindow>,
}

/// The open window that closes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct NextWindow {
    /// `2026-11-24T13:04:00`, in UTC.
    pub(crate) start: String,
    /// In so many seconds, if events go on to come; `None` where time stands still.
    pub(crate) closes_in: Option<u64>,
}

/// What s3-sink makes of it.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Storing {
    /// Events written to `raw/`, a mean of the last minute, since objects come at once.
    pub(crate) events: Option<f64>,
    /// Of all folders, in the last minute.
    pub(crate) objects_a_minute: f64,
    pub(crate) bytes: Option<f64>,
    /// Age of the oldest record that was read and is not in S3.
    pub(crate) oldest: f64,
    /// How long a record may wait there: the longest flush interval.
    pub(crate) flush_interval: u64,
    /// Events in Kafka that are not in `raw/`.
    pub(crate) waiting: Option<u64>,
    /// By writer: offsets in Kafka that are not in S3.
    pub(crate) writers: Vec<Writer>,
    /// Partitions that have stopped.
    pub(crate) parked: f64,
    /// Offsets that retention dropped before they were counted, or in S3, as the processes that run tell it.
    pub(crate) lost: f64,
}

/// One writer of the sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Writer {
    pub(crate) name: &'static str,
    pub(crate) waiting: Option<u64>,
}

/// The postcodes with the most pageviews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TopMinutes {
    /// The first and the last minute that is added up, in UTC.
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) pageviews: u64,
    pub(crate) postcodes: usize,
    pub(crate) rows: Vec<TopRow>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TopRow {
    pub(crate) postcode: String,
    pub(crate) pageviews: u64,
}

/// One of the three services.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// Where it is looked for.
    pub(crate) asked: String,
    pub(crate) replicas: Vec<Replica>,
}

/// One replica, there or gone for less than a minute.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) state: State,
    /// Since when, as far as we looked.
    pub(crate) seconds: u64,
    /// What is wrong, in its own words, by component; or why it does not answer.
    pub(crate) troubles: Vec<Trouble>,
    /// While we looked.
    pub(crate) restarts: u32,
    /// Cores kept busy.
    pub(crate) cores: Option<f64>,
    pub(crate) memory_bytes: f64,
    /// Offsets that it has still to take in.
    pub(crate) lag: Option<u64>,
    pub(crate) version: Option<String>,
}

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Up,
    Down,
    Stopping,
    Gone,
    Left,
}

/// What is wrong with a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Trouble {
    pub(crate) component: String,
    pub(crate) words: String,
}

/// Whether a system answers us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Reach {
    /// Where it is looked for.
    pub(crate) asked: String,
    pub(crate) up: Option<bool>,
    /// For how long it has been so.
    pub(crate) seconds: u64,
    /// Why not.
    pub(crate) words: Option<String>,
}

/// A folder of the bucket, with its newest objects.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Folder {
    pub(crate) name: &'static str,
    pub(crate) objects: Vec<Object>,
}

/// One object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) records: u64,
    /// Age of its last record, which came in so long ago.
    pub(crate) seconds: u64,
}

/// The running audit.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Audit {
    /// The pause between two; zero is never.
    pub(crate) every: u64,
    /// For how long one has been running.
    pub(crate) running: Option<u64>,
    /// Why the last one could not look.
    pub(crate) trouble: Option<String>,
    /// The last one that could.
    pub(crate) last: Option<Audited>,
}

/// What an audit found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Audited {
    pub(crate) result: Finding,
    /// How long ago it ended, and how long it took.
    pub(crate) seconds: u64,
    pub(crate) took_ms: u64,
    /// Events in the bucket, by its ledger.
    pub(crate) events: u64,
    /// Events that were in Kafka and not in S3, or not counted.
    pub(crate) on_their_way: u64,
    pub(crate) checks: Vec<Check>,
}

/// Its verdict, or that of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Finding {
    Ok,
    /// What it takes to tell has not arrived: nothing is missing so far.
    OnItsWay,
    NotProvable,
    Violated,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) result: Finding,
    pub(crate) compared: String,
    pub(crate) findings: Vec<String>,
}
