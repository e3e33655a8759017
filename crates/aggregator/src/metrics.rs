//! What an operator can see: every metric with its unit, its labels and why it is there.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use model::Reason;
use service::clock;
use service::metrics::Metric;

use crate::partitions::{Cause, Partitions, Relieved, Tally};
use crate::transaction::PartitionFlush;
use crate::windows::{PartitionWindows, Restored};

const CONSUMED: Metric = Metric::counter(
    "pageviews_consumed_total",
    &[],
    "Records read, those read again after a restore included: the rate of the hot path",
);
const REPLAYED: Metric = Metric::counter(
    "pageviews_replayed_total",
    &[],
    "Records read again after a restore to rebuild open windows: what restarts cost",
);
const COUNTED: Metric =
    Metric::counter("pageviews_counted_total", &[], "Events in committed rows of pageview-aggregates");
const LATE: Metric = Metric::counter(
    "pageviews_late_total",
    &[],
    "Events in committed rows of late counts: a rise says that the grace is too short, or a source is old",
);
const REPEATS: Metric = Metric::counter(
    "pageviews_repeats_total",
    &[],
    "Events dropped because their event_id was counted in the same open window already: how often clients retry",
);
const REJECTED: Metric = Metric::counter(
    "pageviews_rejected_total",
    &["reason"],
    "Committed dead letters; reason as in the header dead-letter-reason",
);
const ROWS: Metric =
    Metric::counter("aggregator_rows_total", &["output"], "Committed rows; output is aggregates or late");
const FLUSH_ROWS: Metric = Metric::histogram(
    "aggregator_flush_rows",
    &[],
    "Rows of one transaction, dead letters included: how much a crash at the worst moment sends again",
);
const FLUSH_SECONDS: Metric = Metric::histogram(
    "aggregator_flush_duration_seconds",
    &[],
    "Seconds from the start of a transaction to its commit, while nothing is consumed",
);
const ABORTS: Metric = Metric::counter(
    "aggregator_transaction_aborts_total",
    &[],
    "Transactions aborted and their records read again: a few around rebalances are normal",
);
const RESTORES: Metric =
    Metric::counter("aggregator_restores_total", &[], "Partitions restored, after an assignment or an abort");
const RESTORE_SECONDS: Metric = Metric::histogram(
    "aggregator_restore_duration_seconds",
    &[],
    "Seconds that a partition took after a restore to read again what its open windows need",
);
const EARLY: Metric = Metric::counter(
    "aggregator_early_flushes_total",
    &["cause"],
    "Times that counts of open windows were written early, as partial rows; cause is memory or max_open",
);
const IDS_DROPPED: Metric = Metric::counter(
    "aggregator_event_ids_dropped_total",
    &[],
    "Event ids forgotten while their window was open: their repeats would count again",
);
const MISSED: Metric = Metric::counter(
    "aggregator_offsets_missed_total",
    &[],
    "Offsets that retention deleted before they were counted: raise retention, or add processes",
);
const TRUNCATED: Metric = Metric::counter(
    "aggregator_offsets_truncated_total",
    &[],
    "Offsets that a log lost at its end: recreated topic or unclean leader election",
);
const PARTITIONS: Metric =
    Metric::gauge("aggregator_assigned_partitions", &["thread"], "Partitions this thread counts");
const OPEN_WINDOWS: Metric =
    Metric::gauge("aggregator_open_windows", &["thread"], "Open windows over these partitions");
const OPEN_KEYS: Metric = Metric::gauge(
    "aggregator_open_keys",
    &["thread"],
    "Counts that they hold, one for each postcode and window",
);
const OPEN_BYTES: Metric = Metric::gauge(
    "aggregator_open_bytes",
    &["thread"],
    "Bytes that they take, event ids included, at the most. The threads share pipeline.window.memory_limit",
);
const LAG: Metric =
    Metric::gauge("aggregator_consumer_lag", &["thread"], "Offsets still to be read, over these partitions");
const BEHIND: Metric = Metric::gauge(
    "aggregator_stream_time_behind_seconds",
    &["thread"],
    "Seconds that stream time is behind the wall clock, of the partition where it is most",
);

/// All of them.
pub const METRICS: [Metric; 22] = [
    CONSUMED,
    REPLAYED,
    COUNTED,
    LATE,
    REPEATS,
    REJECTED,
    ROWS,
    FLUSH_ROWS,
    FLUSH_SECONDS,
    ABORTS,
    RESTORES,
    RESTORE_SECONDS,
    EARLY,
    IDS_DROPPED,
    MISSED,
    TRUNCATED,
    PARTITIONS,
    OPEN_WINDOWS,
    OPEN_KEYS,
    OPEN_BYTES,
    LAG,
    BEHIND,
];

/// Dead letters of every reason are there from the start, at zero: the first of what was not there is invisible to rates.
pub(crate) fn start_at_zero() {
    for reason in Reason::ALL {
        counter!(REJECTED.name, "reason" => reason.as_str()).absolute(0);
    }
}

/// One thread's metrics.
pub(crate) struct Metrics {
    consumed: Counter,
    replayed: Counter,
    counted: Counter,
    late: Counter,
    repeats: Counter,
    aggregate_rows: Counter,
    late_rows: Counter,
    flush_rows: Histogram,
    flush_seconds: Histogram,
    aborts: Counter,
    restores: Counter,
    restore_seconds: Histogram,
    early_for_memory: Counter,
    early_for_age: Counter,
    ids_dropped: Counter,
    missed: Counter,
    truncated: Counter,
    partitions: Gauge,
    open_windows: Gauge,
    open_keys: Gauge,
    open_bytes: Gauge,
    behind: Gauge,
    lag: Gauge,
}

impl Metrics {
    pub(crate) fn of_thread(thread: usize) -> Self {
        let thread = thread.to_string();
        Self {
            consumed: counter!(CONSUMED.name),
            replayed: counter!(REPLAYED.name),
            counted: counter!(COUNTED.name),
            late: counter!(LATE.name),
            repeats: counter!(REPEATS.name),
            aggregate_rows: counter!(ROWS.name, "output" => "aggregates"),
            late_rows: counter!(ROWS.name, "output" => "late"),
            flush_rows: histogram!(FLUSH_ROWS.name),
            flush_seconds: histogram!(FLUSH_SECONDS.name),
            aborts: counter!(ABORTS.name),
            restores: counter!(RESTORES.name),
            restore_seconds: histogram!(RESTORE_SECONDS.name),
            early_for_memory: counter!(EARLY.name, "cause" => "memory"),
            early_for_age: counter!(EARLY.name, "cause" => "max_open"),
            ids_dropped: counter!(IDS_DROPPED.name),
            missed: counter!(MISSED.name),
            truncated: counter!(TRUNCATED.name),
            partitions: gauge!(PARTITIONS.name, "thread" => thread.clone()),
            open_windows: gauge!(OPEN_WINDOWS.name, "thread" => thread.clone()),
            open_keys: gauge!(OPEN_KEYS.name, "thread" => thread.clone()),
            open_bytes: gauge!(OPEN_BYTES.name, "thread" => thread.clone()),
            behind: gauge!(BEHIND.name, "thread" => thread.clone()),
            lag: gauge!(LAG.name, "thread" => thread),
        }
    }

    /// After a commit: only what is committed is counted.
    pub(crate) fn record_flush(&self, parts: &[PartitionFlush], took: Duration) {
        let rows =
            |part: &PartitionFlush| part.flush.rows.len() + part.flush.late.len() + part.dead_letters.len();
        self.flush_rows.record(parts.iter().map(rows).sum::<usize>() as f64);
        self.flush_seconds.record(took);
        for PartitionFlush { flush, dead_letters, .. } in parts {
            self.aggregate_rows.increment(flush.rows.len() as u64);
            self.late_rows.increment(flush.late.len() as u64);
            self.counted.increment(flush.rows.iter().map(|row| row.pageview_count).sum());
            self.repeats.increment(flush.repeats);
            self.late.increment(flush.late.iter().map(|row| row.pageview_count).sum());
            for dead_letter in dead_letters {
                counter!(REJECTED.name, "reason" => dead_letter.reason.as_str()).increment(1);
            }
        }
    }

    pub(crate) fn record_abort(&self) {
        self.aborts.increment(1);
    }

    pub(crate) fn record_restore(&self, restored: &Restored) {
        self.restores.increment(1);
        self.missed.increment(restored.missed);
        self.truncated.increment(restored.truncated);
    }

    pub(crate) fn record_caught_up(&self, took: Duration) {
        self.restore_seconds.record(took);
    }

    pub(crate) fn record_relieved(&self, relieved: Relieved) {
        match relieved.cause {
            Cause::Memory => self.early_for_memory.increment(1),
            Cause::OpenTooLong => self.early_for_age.increment(1),
        }
        self.ids_dropped.increment(relieved.ids_dropped as u64);
    }

    /// Offsets that retention deleted while they were still to be read.
    pub(crate) fn record_missed(&self, offsets: u64) {
        self.missed.increment(offsets);
    }

    /// What was read since the last look.
    pub(crate) fn record_tally(&self, tally: Tally) {
        self.consumed.increment(tally.consumed);
        self.replayed.increment(tally.replayed);
    }

    /// Once in a while: where the windows stand, and how many offsets are still to be read.
    pub(crate) fn record_look(&self, partitions: &Partitions, lag: u64) {
        let now = clock::now();
        let behind =
            partitions.windows().filter_map(|windows| windows.stream_time()).map(|time| now.since(time));
        self.behind.set(behind.max().unwrap_or_default().as_secs_f64());
        self.lag.set(lag as f64);
        let sum = |of: fn(&PartitionWindows) -> usize| partitions.windows().map(of).sum::<usize>() as f64;
        self.partitions.set(sum(|_| 1));
        self.open_windows.set(sum(PartitionWindows::open_windows));
        self.open_keys.set(sum(PartitionWindows::open_keys));
        self.open_bytes.set(sum(|windows| windows.memory().total()));
    }
}
