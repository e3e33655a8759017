//! What an operator can see: every metric with its unit, its labels and why it is there.

use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use service::clock;

use crate::partitions::{Cause, Partitions, Relieved, Tally};
use crate::transaction::PartitionFlush;
use crate::windows::{PartitionWindows, Restored};

const CONSUMED: &str = "pageviews_consumed_total";
const REPLAYED: &str = "pageviews_replayed_total";
const COUNTED: &str = "pageviews_counted_total";
const LATE: &str = "pageviews_late_total";
const REPEATS: &str = "pageviews_repeats_total";
const REJECTED: &str = "pageviews_rejected_total";
const ROWS: &str = "aggregator_rows_total";
const FLUSH_ROWS: &str = "aggregator_flush_rows";
const FLUSH_SECONDS: &str = "aggregator_flush_duration_seconds";
const ABORTS: &str = "aggregator_transaction_aborts_total";
const RESTORES: &str = "aggregator_restores_total";
const RESTORE_SECONDS: &str = "aggregator_restore_duration_seconds";
const EARLY: &str = "aggregator_early_flushes_total";
const IDS_DROPPED: &str = "aggregator_event_ids_dropped_total";
const MISSED: &str = "aggregator_offsets_missed_total";
const TRUNCATED: &str = "aggregator_offsets_truncated_total";
const PARTITIONS: &str = "aggregator_assigned_partitions";
const OPEN_WINDOWS: &str = "aggregator_open_windows";
const OPEN_KEYS: &str = "aggregator_open_keys";
const OPEN_BYTES: &str = "aggregator_open_bytes";
const LAG: &str = "aggregator_consumer_lag";
const BEHIND: &str = "aggregator_stream_time_behind_seconds";

/// Tells what each metric is, once a process.
pub(crate) fn describe() {
    describe_counter!(
        CONSUMED,
        "Records read, those read again after a restore included: the rate of the hot path"
    );
    describe_counter!(
        REPLAYED,
        "Records read again after a restore to rebuild open windows: what restarts cost"
    );
    describe_counter!(COUNTED, "Events in committed rows of pageview-aggregates");
    describe_counter!(
        LATE,
        "Events in committed rows of late counts: a rise says that the grace is too short, or a source is old"
    );
    describe_counter!(
        REPEATS,
        "Events dropped because their event_id was counted in the same open window already: how often clients retry"
    );
    describe_counter!(REJECTED, "Committed dead letters; label reason as in the header dead-letter-reason");
    describe_counter!(ROWS, "Committed rows; label output is aggregates or late");
    describe_histogram!(
        FLUSH_ROWS,
        "Rows of one transaction, dead letters included: how much a crash at the worst moment sends again"
    );
    describe_histogram!(
        FLUSH_SECONDS,
        "Seconds from the start of a transaction to its commit, while nothing is consumed"
    );
    describe_counter!(
        ABORTS,
        "Transactions aborted and their records read again: a few around rebalances are normal"
    );
    describe_counter!(RESTORES, "Partitions restored, after an assignment or an abort");
    describe_histogram!(
        RESTORE_SECONDS,
        "Seconds that a partition took after a restore to read again what its open windows need"
    );
    describe_counter!(
        EARLY,
        "Times that counts of open windows were written early, as partial rows; label cause is memory or max_open"
    );
    describe_counter!(
        IDS_DROPPED,
        "Event ids forgotten while their window was open: their repeats would count again"
    );
    describe_counter!(
        MISSED,
        "Offsets that retention deleted before they were counted: raise retention, or add processes"
    );
    describe_counter!(
        TRUNCATED,
        "Offsets that a log lost at its end: recreated topic or unclean leader election"
    );
    describe_gauge!(PARTITIONS, "Partitions this thread counts; label thread");
    describe_gauge!(OPEN_WINDOWS, "Open windows over these partitions; label thread");
    describe_gauge!(OPEN_KEYS, "Counts that they hold, one for each postcode and window; label thread");
    describe_gauge!(
        OPEN_BYTES,
        "Bytes that they take, event ids included, at the most; label thread. The threads share pipeline.window.memory_limit"
    );
    describe_gauge!(
        BEHIND,
        "Seconds that stream time is behind the wall clock, of the partition where it is most; label thread"
    );
    describe_gauge!(LAG, "Offsets still to be read, over these partitions; label thread");
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
            consumed: counter!(CONSUMED),
            replayed: counter!(REPLAYED),
            counted: counter!(COUNTED),
            late: counter!(LATE),
            repeats: counter!(REPEATS),
            aggregate_rows: counter!(ROWS, "output" => "aggregates"),
            late_rows: counter!(ROWS, "output" => "late"),
            flush_rows: histogram!(FLUSH_ROWS),
            flush_seconds: histogram!(FLUSH_SECONDS),
            aborts: counter!(ABORTS),
            restores: counter!(RESTORES),
            restore_seconds: histogram!(RESTORE_SECONDS),
            early_for_memory: counter!(EARLY, "cause" => "memory"),
            early_for_age: counter!(EARLY, "cause" => "max_open"),
            ids_dropped: counter!(IDS_DROPPED),
            missed: counter!(MISSED),
            truncated: counter!(TRUNCATED),
            partitions: gauge!(PARTITIONS, "thread" => thread.clone()),
            open_windows: gauge!(OPEN_WINDOWS, "thread" => thread.clone()),
            open_keys: gauge!(OPEN_KEYS, "thread" => thread.clone()),
            open_bytes: gauge!(OPEN_BYTES, "thread" => thread.clone()),
            behind: gauge!(BEHIND, "thread" => thread.clone()),
            lag: gauge!(LAG, "thread" => thread),
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
                counter!(REJECTED, "reason" => dead_letter.reason.as_str()).increment(1);
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

    /// Once in a while: where the windows stand; `end` tells where a partition's log ends.
    pub(crate) fn record_look(&self, partitions: &Partitions, end: impl Fn(i32) -> Option<i64>) {
        let now = clock::now();
        let behind =
            partitions.windows().filter_map(|windows| windows.stream_time()).map(|time| now.since(time));
        self.behind.set(behind.max().unwrap_or_default().as_secs_f64());
        let lag = partitions
            .by_number()
            .filter_map(|(partition, windows)| Some(end(partition)? - windows.position()));
        self.lag.set(lag.map(|lag| lag.max(0)).sum::<i64>() as f64);
        let sum = |of: fn(&PartitionWindows) -> usize| partitions.windows().map(of).sum::<usize>() as f64;
        self.partitions.set(sum(|_| 1));
        self.open_windows.set(sum(PartitionWindows::open_windows));
        self.open_keys.set(sum(PartitionWindows::open_keys));
        self.open_bytes.set(sum(|windows| windows.memory().total()));
    }
}
