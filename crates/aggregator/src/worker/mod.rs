//! One thread: consume, window, flush in a transaction. It owns everything about its partitions, so nothing is locked.

mod ownership;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use service::kafka::LogEnds;
use service::kafka::records::{Flow, PartitionError};
use service::{Config, Shutdown, clock};

use crate::ThreadHealth;
use crate::error::Error;
use crate::group::Group;
use crate::metrics::Metrics;
use crate::partitions::{Partitions, Read, Relieved};
use crate::transaction::{Outcome, Transactions};
use crate::windows::{Limits, PartitionWindows};

/// How long a poll waits for a record, and so how late a thread may learn of anything else.
const POLL_TIMEOUT: Duration = Duration::from_millis(100);
/// Records read between two looks at the clock.
const RECORDS_PER_LOOK: u32 = 4096;
/// Results go out at most this often. It also paces everything else that is not about records.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Between two lines in the log about the memory valve.
const RELIEF_NEWS_INTERVAL: Duration = Duration::from_secs(60);
/// Aborts in a row from which on something is wrong: around a rebalance there are one or two.
const TOO_MANY_ABORTS: u32 = 3;

/// A thread's state.
pub(crate) struct Worker {
    group: Group,
    transactions: Transactions,
    partitions: Partitions,
    /// Partitions that are assigned, but whose state was dropped: to be restored when Kafka allows.
    forgotten: BTreeSet<i32>,
    limits: Limits,
    /// Bytes that open windows may take.
    memory_limit: usize,
    health: ThreadHealth,
    metrics: Metrics,
    aborts_in_a_row: u32,
    last_round: Instant,
    ends: LogEnds,
    /// When the log was last told that the memory valve fired.
    last_relief: Option<Instant>,
}

impl Worker {
    /// Counts until asked to stop; `id` tells this thread from all others, in this process and elsewhere, for ever.
    pub(crate) fn run(
        config: &Config,
        id: &str,
        health: ThreadHealth,
        metrics: Metrics,
        ends: LogEnds,
        shutdown: &Shutdown,
    ) -> Result<(), Error> {
        let Some(transactions) = Transactions::start(config, id, health.kafka.clone(), shutdown)? else {
            return Ok(());
        };
        health.kafka.down("joining the group");
        health.aggregation.detail_since("secondsSinceFlush", clock::monotonic());
        let window = &config.pipeline.window;
        let limits = Limits {
            grace: window.grace,
            idle_timeout: window.idle_timeout,
            max_future_skew: config.pipeline.max_future_skew,
            max_open: window.max_open,
        };
        let mut worker = Self {
            group: Group::join(config, id)?,
            transactions,
            partitions: Partitions::default(),
            forgotten: BTreeSet::new(),
            limits,
            memory_limit: usize::try_from(window.memory_limit.0).unwrap_or(usize::MAX)
                / config.pipeline.threads,
            health,
            metrics,
            aborts_in_a_row: 0,
            last_round: clock::monotonic(),
            ends,
            last_relief: None,
        };
        while !shutdown.requested() {
            worker.read_some()?;
            worker.look()?;
        }
        worker.flush()
    }

    /// Reads until there is nothing to read, or it is time for a look.
    fn read_some(&mut self) -> Result<(), Error> {
        self.hear()?;
        let (group, partitions) = (&self.group, &mut self.partitions);
        let (mut left, mut went_back, mut errors) = (RECORDS_PER_LOOK, BTreeMap::new(), Vec::new());
        group.read(POLL_TIMEOUT, |record| {
            match record {
                Ok(record) => {
                    if partitions.read(group.topic(), record) == Read::WentBack {
                        went_back.entry(record.partition()).or_insert(record.offset());
                    }
                }
                Err(error) => errors.push(error),
            }
            left -= 1;
            if left == 0 { Flow::Stop } else { Flow::Continue }
        });
        for (partition, offset) in went_back {
            tracing::error!(partition, offset, "the log was truncated below what was read: restoring");
            self.restore_later(partition);
        }
        errors.into_iter().try_for_each(|error| self.heed_partition(error))
    }

    /// Takes what the group and the client have to say.
    fn hear(&mut self) -> Result<(), Error> {
        loop {
            match self.group.hear() {
                Some(Ok(partition)) => {
                    tracing::warn!(partition, "a record came the wrong way: restoring");
                    self.restore_later(partition);
                }
                Some(Err(error)) => self.heed(&error)?,
                // A rebalance ends a poll, too.
                None => return self.answer_rebalances(),
            }
        }
    }

    fn restore_later(&mut self, partition: i32) {
        if self.partitions.forget(partition) {
            self.forgotten.insert(partition);
        }
    }

    fn heed_partition(&mut self, PartitionError { partition, code }: PartitionError) -> Result<(), Error> {
        match code {
            RDKafkaErrorCode::AutoOffsetReset => {
                self.find_the_log_again(partition);
                Ok(())
            }
            _ => self.heed(&KafkaError::MessageConsumption(code)),
        }
    }

    /// The position is not in the log any more. Where retention has passed us by, what was lost is told and what is
    /// counted is kept; where the log lost its end, the partition is restored.
    fn find_the_log_again(&mut self, partition: i32) {
        let Some(windows) = self.partitions.get_mut(partition) else { return };
        let log = self.group.log_bounds(partition).ok();
        match log.and_then(|log| Some((log, windows.pass_over(log)?))) {
            Some((log, missed)) => {
                tracing::error!(
                    partition,
                    missed,
                    log.start,
                    "retention deleted records before they were read: going on"
                );
                self.metrics.record_missed(missed);
                if self.group.seek(&[(partition, log.start)]).is_err() {
                    self.restore_later(partition);
                }
            }
            None => self.restore_later(partition),
        }
    }

    /// librdkafka goes on by itself after most errors; some should be known.
    fn heed(&self, error: &KafkaError) -> Result<(), Error> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return Err(Error::Consumer(error.clone()));
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.health.kafka.down("no broker can be reached"),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                self.health.kafka.down(format!("there is no topic {} any more", self.group.topic()));
            }
            Some(
                RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed,
            ) => self.health.kafka.down(error.to_string()),
            _ => tracing::debug!(%error, "the consumer"),
        }
        Ok(())
    }

    /// What is due between records.
    fn look(&mut self) -> Result<(), Error> {
        self.metrics.record_tally(self.partitions.take_tally());
        for (partition, took) in self.partitions.take_caught_up() {
            tracing::info!(partition, ?took, "caught up with what was counted before");
            self.metrics.record_caught_up(took);
        }
        let round = self.last_round.elapsed() >= FLUSH_INTERVAL;
        self.mind_open_windows(round)?;
        if round || self.partitions.is_full() {
            self.flush()?;
            self.metrics.record_look(&self.partitions, self.lag());
        }
        if round {
            // A fetch that stopped and started again may have led a partition's records back to the group's own queue.
            self.group.take_over(self.partitions.numbers());
            self.restore_forgotten()?;
            self.close_idle();
            self.look_after_health();
            self.last_round = clock::monotonic();
        }
        Ok(())
    }

    /// The memory valve. Each partition's counts go out before those of the next are taken, as they wait in memory, too.
    fn mind_open_windows(&mut self, round: bool) -> Result<(), Error> {
        if round {
            for relieved in self.partitions.relieve_open_too_long() {
                self.tell_relieved(relieved);
            }
        }
        while let Some(relieved) = self.partitions.relieve(self.memory_limit) {
            self.tell_relieved(relieved);
            self.flush()?;
        }
        Ok(())
    }

    fn tell_relieved(&mut self, relieved: Relieved) {
        self.metrics.record_relieved(relieved);
        // Where memory is too small for what comes, this happens many times a second.
        if self.last_relief.is_none_or(|last| last.elapsed() >= RELIEF_NEWS_INTERVAL) {
            let Relieved { partition, cause, ids_dropped } = relieved;
            tracing::warn!(
                partition,
                ?cause,
                ids_dropped,
                "counts of open windows are written early: their minutes have several rows, which add up; told once a \
                 minute, and each time in aggregator_early_flushes_total"
            );
            self.last_relief = Some(clock::monotonic());
        }
    }

    fn flush(&mut self) -> Result<(), Error> {
        // Without a place in the group nothing would fence the commit.
        let Some(fence) = self.group.fence() else {
            return Ok(());
        };
        let parts = self.partitions.take_flush();
        if parts.is_empty() {
            return Ok(());
        }
        let started = clock::monotonic();
        match self.transactions.commit(&parts, fence)? {
            Outcome::Committed => {
                self.aborts_in_a_row = 0;
                self.metrics.record_flush(&parts, started.elapsed());
                self.health.aggregation.detail_since("secondsSinceFlush", clock::monotonic());
            }
            Outcome::Aborted(error) => {
                tracing::warn!(%error, "transaction aborted: restoring from what is committed");
                self.metrics.record_abort();
                self.aborts_in_a_row += 1;
                if self.aborts_in_a_row >= TOO_MANY_ABORTS {
                    self.health.aggregation.down(format!("no transaction can be committed: {error}"));
                }
                self.forgotten.extend(self.partitions.forget_all());
            }
        }
        Ok(())
    }

    fn close_idle(&mut self) {
        let now = clock::now();
        for (partition, windows) in self.partitions.windows_mut() {
            if !windows.is_idle(now) {
                continue;
            }
            let position = self.group.position(partition).unwrap_or(0).max(windows.position());
            match self.group.log_bounds(partition) {
                Ok(log) if log.end <= position => {
                    windows.skip_to(position);
                    windows.close_idle(now);
                }
                Ok(_) => {}
                // Without the log's end nothing closes; the next round asks again.
                Err(error) => return tracing::debug!(%error, partition, "the log's end is not known"),
            }
        }
    }

    /// Offsets still to be read.
    fn lag(&self) -> u64 {
        let of = |(partition, windows): (i32, &PartitionWindows)| {
            let ends = [self.group.last_known_end(partition), self.ends.of(self.group.topic(), partition)];
            u64::try_from(ends.into_iter().flatten().max()? - windows.position()).ok()
        };
        self.partitions.by_number().filter_map(of).sum()
    }

    fn look_after_health(&self) {
        let has_joined = self.group.has_joined();
        self.tell_of_aggregation(has_joined);
        if self.health.kafka.is_up() && has_joined {
            return self.health.kafka.confirm();
        }
        // Asked out of the group, too: a consumer that has lost its cluster gets back by being asked for it.
        let is_there = self.group.topic_is_there();
        // With the broker's own assignment, a member without partitions gets no event that says it has joined.
        if has_joined && is_there && self.forgotten.is_empty() && self.group.next_rebalance().is_none() {
            self.health.kafka.up();
        }
    }

    fn tell_of_aggregation(&self, has_joined: bool) {
        let aggregation = &self.health.aggregation;
        aggregation.detail("assignedPartitions", self.partitions.numbers().count() as u64);
        aggregation.detail("lag", self.lag());
        match (has_joined, self.aborts_in_a_row) {
            (false, _) => aggregation.down("joining the group"),
            (true, ..TOO_MANY_ABORTS) => aggregation.up(),
            (true, _) => aggregation.confirm(),
        }
    }
}
