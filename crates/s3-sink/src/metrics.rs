//! Every metric of the sink. Label `writer` is raw, aggregates, late or dead_letters.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::Kind;
use crate::action::Cause;
use crate::bucket;
use crate::ledger::Entry;

const WRITES: &str = "s3_writes_total";
const ERRORS: &str = "s3_errors_total";
const DURATION: &str = "s3_write_duration_seconds";
const BYTES: &str = "s3_written_bytes_total";
const RECORDS: &str = "s3_written_records_total";
const POISON: &str = "s3_dead_letter_records_total";
const RANGES: &str = "s3_ranges_total";
const REDOS: &str = "s3_redos_total";
const LOST: &str = "s3_lost_offsets_total";
const LAG: &str = "s3_consumer_lag";
const OUTDONE: &str = "s3_ranges_outdone_total";
const BUFFERED: &str = "s3_buffered_bytes";
const PAUSED: &str = "s3_paused_partitions";
const PARKED: &str = "s3_parked_partitions";
const OLDEST: &str = "s3_oldest_unflushed_seconds";

/// Says what each metric is, once at the start, and sets those that an alarm waits for to zero.
pub(crate) fn describe() {
    describe_counter!(WRITES, "Objects written to S3 (label writer): the rate of useful work");
    describe_counter!(
        ERRORS,
        "Attempts that S3 did not answer well (labels writer; kind = no_bucket, denied, busy, unreachable, other). \
         They are tried again: a rate that stays is an outage"
    );
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "How long one PUT took that was answered, of an object or a document of the ledger (label writer)"
    );
    describe_counter!(BYTES, Unit::Bytes, "Bytes written to S3, as encoded (label writer): what is paid for");
    describe_counter!(RECORDS, "Records written to S3 (label writer)");
    describe_counter!(
        POISON,
        "Records that went to dead-letter/ because the writer's format cannot hold them (label writer): somebody \
         writes garbage to the topic"
    );
    describe_counter!(
        RANGES,
        "Ranges cut (labels writer; cause = size, age, boundary, memory, passed, shutdown, redo, lost): many by memory mean that \
         the limit is too small or S3 too slow"
    );
    describe_counter!(
        REDOS,
        "Ranges that a dead owner had fixed and not finished, written again (label writer): one a crash is normal"
    );
    describe_counter!(
        OUTDONE,
        "Ranges that another owner had fixed first (label writer): one a rebalance is normal"
    );
    describe_counter!(
        LOST,
        "Offsets that the log dropped before they were in S3 (label writer): the promise is broken for them. Retention is \
         too short, or the sink was away for too long"
    );
    describe_gauge!(BUFFERED, Unit::Bytes, "Bytes in memory that are not in S3 yet (label writer)");
    describe_gauge!(
        LAG,
        "Offsets of the assigned partitions that are not in S3 yet, control records included (label writer)"
    );
    describe_gauge!(
        PAUSED,
        "Assigned partitions that are not read for now (label writer): uploads do not keep up, or the ledger is \
         being read"
    );
    describe_gauge!(
        PARKED,
        "Assigned partitions that stopped because going on would lose or double records (label writer): somebody \
         has to look, the log says why"
    );
    describe_gauge!(
        OLDEST,
        Unit::Seconds,
        "Age of the oldest record that was read and is not in S3 (label writer): above flush_interval, data is late"
    );
    for kind in Kind::ALL {
        let writer = kind.name();
        for name in [WRITES, REDOS, POISON, RECORDS, BYTES, LOST] {
            counter!(name, "writer" => writer).absolute(0);
        }
        counter!(ERRORS, "writer" => writer, "kind" => bucket::Kind::Unreachable.name()).absolute(0);
        gauge!(PARKED, "writer" => writer).set(0.0);
    }
}

/// An attempt failed.
pub(crate) fn record_error(kind: Kind, error: bucket::Kind) {
    counter!(ERRORS, "writer" => kind.name(), "kind" => error.name()).increment(1);
}

/// A PUT was answered.
pub(crate) fn record_put(kind: Kind, took: Duration) {
    histogram!(DURATION, "writer" => kind.name()).record(took.as_secs_f64());
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
    counter!(RANGES, "writer" => kind.name(), "cause" => name).increment(1);
    if cause == Cause::Redo {
        counter!(REDOS, "writer" => kind.name()).increment(1);
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
    counter!(WRITES, "writer" => writer).increment(entry.objects().len() as u64);
    counter!(BYTES, "writer" => writer).increment(bytes as u64);
    counter!(RECORDS, "writer" => writer).increment(records(false) + records(true));
    if kind != Kind::DeadLetters {
        counter!(POISON, "writer" => writer).increment(records(true));
    }
}

/// Another owner had fixed the range first.
pub(crate) fn record_outdone(kind: Kind) {
    counter!(OUTDONE, "writer" => kind.name()).increment(1);
}

/// The log dropped records before they were written.
pub(crate) fn record_lost(kind: Kind, offsets: u64) {
    counter!(LOST, "writer" => kind.name()).increment(offsets);
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
    gauge!(BUFFERED, "writer" => kind.name()).set(holding.buffered as f64);
    gauge!(LAG, "writer" => kind.name()).set(holding.lag as f64);
    gauge!(PAUSED, "writer" => kind.name()).set(holding.paused as f64);
    gauge!(PARKED, "writer" => kind.name()).set(holding.parked as f64);
    gauge!(OLDEST, "writer" => kind.name()).set(holding.oldest.as_secs_f64());
}
