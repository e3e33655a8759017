//! Every metric of the sink. Label `writer` is raw, aggregates, late or dead_letters.

use std::time::Duration;

use metrics::{counter, gauge, histogram};
use service::metrics::Metric;

use crate::Kind;
use crate::action::Cause;
use crate::bucket;
use crate::ledger::Entry;

const WRITES: Metric =
    Metric::counter("s3_writes_total", &["writer"], "Objects written to S3: the rate of useful work");
const ERRORS: Metric = Metric::counter(
    "s3_errors_total",
    &["writer", "kind"],
    "Attempts that S3 did not answer well (kind: no_bucket, denied, busy, unreachable, other). They are tried \
     again: a rate that stays is an outage",
);
const DURATION: Metric = Metric::histogram(
    "s3_write_duration_seconds",
    &["writer"],
    "How long one PUT took that was answered, of an object or a document of the ledger",
);
const BYTES: Metric = Metric::counter(
    "s3_written_bytes_total",
    &["writer"],
    "Bytes written to S3, as encoded: what is paid for",
);
const RECORDS: Metric = Metric::counter("s3_written_records_total", &["writer"], "Records written to S3");
const POISON: Metric = Metric::counter(
    "s3_dead_letter_records_total",
    &["writer"],
    "Records that went to dead-letter/ because the writer's format cannot hold them: somebody writes garbage to \
     the topic",
);
const RANGES: Metric = Metric::counter(
    "s3_ranges_total",
    &["writer", "cause"],
    "Ranges cut (cause: size, age, boundary, memory, passed, shutdown, redo, lost): many by memory mean that the \
     limit is too small or S3 too slow",
);
const REDOS: Metric = Metric::counter(
    "s3_redos_total",
    &["writer"],
    "Ranges that a dead owner had fixed and not finished, written again: one a crash is normal",
);
const LOST: Metric = Metric::counter(
    "s3_lost_offsets_total",
    &["writer"],
    "Offsets that the log dropped before they were in S3: the promise is broken for them. Retention is too \
     short, or the sink was away for too long",
);
const LAG: Metric = Metric::gauge(
    "s3_consumer_lag",
    &["writer"],
    "Offsets of the assigned partitions that are not in S3 yet, control records included",
);
const OUTDONE: Metric = Metric::counter(
    "s3_ranges_outdone_total",
    &["writer"],
    "Ranges that another owner had fixed first: one a rebalance is normal",
);
const BUFFERED: Metric =
    Metric::gauge("s3_buffered_bytes", &["writer"], "Bytes in memory that are not in S3 yet");
const PAUSED: Metric = Metric::gauge(
    "s3_paused_partitions",
    &["writer"],
    "Assigned partitions that are not read for now: uploads do not keep up, or the ledger is being read",
);
const PARKED: Metric = Metric::gauge(
    "s3_parked_partitions",
    &["writer"],
    "Assigned partitions that stopped because going on would lose or double records: somebody has to look, the \
     log says why",
);
const OLDEST: Metric = Metric::gauge(
    "s3_oldest_unflushed_seconds",
    &["writer"],
    "Age of the oldest record that was read and is not in S3: above flush_interval, data is late",
);

/// All of them.
pub const METRICS: [Metric; 15] = [
    WRITES, ERRORS, DURATION, BYTES, RECORDS, POISON, RANGES, REDOS, LOST, LAG, OUTDONE, BUFFERED, PAUSED,
    PARKED, OLDEST,
];

/// Sets what an alarm waits for to zero: the first increment of what was not there is invisible to rates.
pub(crate) fn start_at_zero() {
    for kind in Kind::ALL {
        let writer = kind.name();
        for metric in [WRITES, REDOS, POISON, RECORDS, BYTES, LOST] {
            counter!(metric.name, "writer" => writer).absolute(0);
        }
        for error in bucket::Kind::ALL {
            counter!(ERRORS.name, "writer" => writer, "kind" => error.name()).absolute(0);
        }
        gauge!(PARKED.name, "writer" => writer).set(0.0);
    }
}

/// An attempt failed.
pub(crate) fn record_error(kind: Kind, error: bucket::Kind) {
    counter!(ERRORS.name, "writer" => kind.name(), "kind" => error.name()).increment(1);
}

/// A PUT was answered.
pub(crate) fn record_put(kind: Kind, took: Duration) {
    histogram!(DURATION.name, "writer" => kind.name()).record(took.as_secs_f64());
}

/// A range was cut.
pub(crate) fn record_cut(kind: Kind, cause: Cause) {
    let name = match cause {
        Cause::Size => "size",
        Cause::Age => "age",
        Cause::Boundary => "boundary",
        Cause::Memory => "memory",
        Cause::Passed => "passed",
        Cause::Shutdown => "shutdown",
        Cause::Redo => "redo",
        Cause::Lost => "lost",
    };
    counter!(RANGES.name, "writer" => kind.name(), "cause" => name).increment(1);
    if cause == Cause::Redo {
        counter!(REDOS.name, "writer" => kind.name()).increment(1);
    }
}

/// All objects of a range are in S3.
pub(crate) fn record_written(kind: Kind, entry: &Entry, bytes: usize) {
    let writer = kind.name();
    let records = |poison: bool| -> u64 {
        let objects = entry.objects().iter();
        objects
            .filter(|object| object.key.starts_with("dead-letter/") == poison)
            .map(|object| object.records)
            .sum()
    };
    counter!(WRITES.name, "writer" => writer).increment(entry.objects().len() as u64);
    counter!(BYTES.name, "writer" => writer).increment(bytes as u64);
    counter!(RECORDS.name, "writer" => writer).increment(records(false) + records(true));
    if kind != Kind::DeadLetters {
        counter!(POISON.name, "writer" => writer).increment(records(true));
    }
}

/// Another owner had fixed the range first.
pub(crate) fn record_outdone(kind: Kind) {
    counter!(OUTDONE.name, "writer" => kind.name()).increment(1);
}

/// The log dropped records before they were written.
pub(crate) fn record_lost(kind: Kind, offsets: u64) {
    counter!(LOST.name, "writer" => kind.name()).increment(offsets);
}

/// What a writer holds at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Holding {
    /// Bytes of ranges that are filling, or being written.
    pub(crate) buffered: usize,
    /// Offsets not written yet.
    pub(crate) lag: u64,
    /// Partitions not read for now.
    pub(crate) paused: usize,
    /// Partitions stopped for good.
    pub(crate) parked: usize,
    /// Age of the oldest record read and not written.
    pub(crate) oldest: Duration,
}

/// Shows what a writer holds.
pub(crate) fn show(kind: Kind, holding: Holding) {
    gauge!(BUFFERED.name, "writer" => kind.name()).set(holding.buffered as f64);
    gauge!(LAG.name, "writer" => kind.name()).set(holding.lag as f64);
    gauge!(PAUSED.name, "writer" => kind.name()).set(holding.paused as f64);
    gauge!(PARKED.name, "writer" => kind.name()).set(holding.parked as f64);
    gauge!(OLDEST.name, "writer" => kind.name()).set(holding.oldest.as_secs_f64());
}
