//! One writer: a thread that polls, tells the planner of each partition what happened, and performs what it answers.
//! Whatever waits for S3 runs on tokio and reports over a channel; the poll loop never waits for it. Nobody else commits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use service::{Shutdown, clock};

use crate::Kind;
use crate::action::{Action, Cause};
use crate::assigned::{Assigned, Seek};
use crate::budget::{Budget, Pressure};
use crate::consumer::{Change, Consumer};
use crate::encode::Gzip;
use crate::frontier::{Found, decide};
use crate::hint::Hint;
use crate::identity::{Doubt, Identity};
use crate::ledger::Origin;
use crate::metrics::{self, Holding};
use crate::planner::{Cuts, Partition};
use crate::protocol::Outcome;
use crate::range::Source;
use crate::record::{Header, Headers, Record};
use crate::shared_health::SharedHealth;
use crate::tasks::{Answer, Tasks, What};

/// The longest that a poll waits: answers of S3 are looked at in between.
const TICK: Duration = Duration::from_millis(50);
/// How many records, and how many bytes of them, are taken before anything else is looked at.
const BATCH: usize = 2000;
const BATCH_BYTES: usize = 4 << 20;
/// How many seeks may fail, a tick apart, before the partition is assigned to the consumer anew.
const SEEKS: u32 = 40;
/// The pause before Kafka is asked again what it could not answer, and between looks at what rarely changes.
const PAUSE: Duration = Duration::from_secs(1);

/// What a writer needs of the process.
pub(crate) struct Surroundings {
    pub(crate) budget: Arc<Budget>,
    pub(crate) kafka: SharedHealth,
    pub(crate) partitions: SharedHealth,
    pub(crate) shutdown: Shutdown,
    pub(crate) grace: Duration,
}

/// Why a writer ends that nobody stopped.
#[derive(Debug)]
pub(crate) enum Ended {
    /// A fatal error of the consumer.
    Consumer(KafkaError),
    /// The topic is no longer the one whose ledger was claimed.
    Foreign { claimed: Box<Origin>, found: Box<Origin> },
}

pub(crate) struct Writer {
    kind: Kind,
    identity: Identity,
    topic: String,
    cuts: Cuts,
    consumer: Consumer,
    assigned: BTreeMap<i32, Assigned>,
    gzip: Gzip,
    tasks: Tasks,
    surroundings: Surroundings,
    assignments: u64,
    /// When the writer must have stopped; `None` while nobody asked it to.
    stop_by: Option<Instant>,
    drained_since: Option<Instant>,
    next_look: Instant,
    /// All brokers were away, and none has answered since.
    kafka_away: bool,
}

impl Writer {
    pub(crate) fn new(
        kind: Kind,
        identity: Identity,
        cuts: Cuts,
        consumer: Consumer,
        tasks: Tasks,
        surroundings: Surroundings,
    ) -> Self {
        let topic = identity.claimed().topic.clone();
        Self {
            kind,
            identity,
            topic,
            cuts,
            consumer,
            assigned: BTreeMap::new(),
            gzip: Gzip::new(),
            tasks,
            surroundings,
            assignments: 0,
            stop_by: None,
            drained_since: None,
            next_look: clock::monotonic(),
            kafka_away: false,
        }
    }

    /// Runs until the process stops.
    ///
    /// # Errors
    /// [`Ended`] says why going on makes no sense.
    pub(crate) fn run(mut self) -> Result<(), Ended> {
        loop {
            let now = clock::monotonic();
            self.rebalance();
            self.hear(now)?;
            self.seek(now);
            self.find(now)?;
            self.cut(now);
            if now >= self.next_look {
                self.next_look = now + PAUSE;
                self.look(now);
            }
            if self.stopped(now) {
                return Ok(());
            }
            self.take(now).map_err(Ended::Consumer)?;
        }
    }

    fn rebalance(&mut self) {
        for change in self.consumer.changes() {
            tracing::info!(writer = %self.kind, topic = self.topic, ?change, "rebalance");
            match change {
                Change::Assigned(partitions) => {
                    self.identity.doubt();
                    partitions.into_iter().for_each(|partition| self.assign(partition))
                }
                Change::Revoked(partitions) => {
                    // Dropped: what is filling. What is being written may finish; nobody here waits for it.
                    partitions.iter().for_each(|partition| drop(self.assigned.remove(partition)));
                }
            }
        }
    }

    fn assign(&mut self, number: i32) {
        self.assignments += 1;
        let source = Source { kind: self.kind, topic: self.topic.clone(), partition: number };
        let (partition, actions) = Partition::assigned(source, self.cuts);
        self.assigned.insert(number, Assigned::new(self.assignments, partition));
        self.perform(number, actions);
        if self.stop_by.is_some() {
            self.ask(number, |partition, gzip| partition.drain(gzip));
        }
    }

    /// Asks the planner of a partition, and performs what it answers.
    fn ask(&mut self, number: i32, question: impl FnOnce(&mut Partition, &mut Gzip) -> Vec<Action>) {
        if let Some(assigned) = self.assigned.get_mut(&number) {
            let actions = question(&mut assigned.partition, &mut self.gzip);
            self.perform(number, actions);
        }
    }

    fn ask_all(&mut self, question: impl Fn(&mut Partition, &mut Gzip) -> Vec<Action>) {
        for number in self.numbers() {
            self.ask(number, &question);
        }
    }

    fn numbers(&self) -> Vec<i32> {
        self.assigned.keys().copied().collect()
    }

    fn perform(&mut self, number: i32, actions: Vec<Action>) {
        for action in actions {
            let Some(assigned) = self.assigned.get_mut(&number) else { return };
            match action {
                Action::Find => assigned.find_at = Some(clock::monotonic()),
                Action::Read(from) => {
                    assigned.seek = Some(Seek { from, at: clock::monotonic(), failures: 0 })
                }
                Action::Pause => {
                    (assigned.seek, assigned.trouble) = (None, None);
                    if let Err(error) = self.consumer.pause(number) {
                        tracing::debug!(writer = %self.kind, partition = number, %error, "pause");
                    }
                }
                Action::Commit(hint) => {
                    let sent = self.consumer.commit(number, hint);
                    assigned.committed = sent.is_ok().then_some(hint);
                    if let Err(error) = sent {
                        tracing::debug!(writer = %self.kind, partition = number, %error, "commit");
                    }
                }
                Action::Write(plan) => self.tasks.write(number, assigned.id, plan),
                Action::Parked(reason) => {
                    tracing::error!(
                        writer = %self.kind, topic = self.topic, partition = number, %reason,
                        "parked: nothing more of this partition is written"
                    );
                    assigned.parked = Some(format!("is parked: {reason}"));
                }
            }
        }
        if let Some(assigned) =
            self.assigned.get_mut(&number).filter(|assigned| !assigned.partition.redoing())
        {
            assigned.redo = None;
        }
    }

    /// Hears what tasks found out. An answer to an earlier assignment is nobody's.
    fn hear(&mut self, now: Instant) -> Result<(), Ended> {
        for Answer { partition: number, id, what } in self.tasks.answers() {
            if self.assigned.get(&number).is_none_or(|assigned| assigned.id != id) {
                continue;
            }
            match what {
                What::Wrote { start, end, outcome } => self.ask(number, |partition, gzip| match outcome {
                    Outcome::Written => partition.written(start, end, gzip),
                    Outcome::Outdone => partition.outdone(start, end),
                    Outcome::Blocked(reason) => partition.park(reason),
                }),
                What::Last(Err(blocked), _) => {
                    self.ask(number, |partition, _| partition.found(Found::Blocked(blocked)));
                }
                What::Last(Ok(last), hint) => {
                    match self.consumer.log(number) {
                        // S3 may have taken long: asked after it was looked at, that log was of the topic claimed.
                        Ok(log) if self.is_ours(now, &[number])? => {
                            self.found(number, decide(last, hint, log), hint);
                        }
                        Ok(_) => {}
                        Err(error) => self.find_later(number, &error),
                    }
                }
            }
        }
        Ok(())
    }

    fn found(&mut self, number: i32, found: Found, committed: Option<Hint>) {
        tracing::info!(writer = %self.kind, topic = self.topic, partition = number, "frontier: {found}");
        if let Some(assigned) = self.assigned.get_mut(&number) {
            assigned.trouble = None;
            assigned.committed = committed;
        }
        self.ask(number, |partition, _| partition.found(found));
    }

    /// Seeks where planners want to read. A partition that was just assigned may not be ready for it, and one whose
    /// position left the log never is: that is assigned to the consumer anew.
    fn seek(&mut self, now: Instant) {
        for (number, assigned) in &mut self.assigned {
            let Some(Seek { from, failures, .. }) = assigned.seek.filter(|seek| seek.at <= now) else {
                continue;
            };
            let done = match failures {
                0..SEEKS => self.consumer.read_from(*number, from),
                _ => self.consumer.start_at(*number, from),
            };
            assigned.seek = match done {
                Ok(()) => {
                    assigned.trouble = None;
                    None
                }
                Err(error) => {
                    tracing::debug!(writer = %self.kind, partition = number, from, %error, "seek");
                    assigned.failed("seek", &error, now);
                    Some(Seek { from, at: now + TICK, failures: (failures + 1) % (SEEKS + 1) })
                }
            };
        }
    }

    /// Starts looking for the frontiers that planners ask for, and lets one of them write a range again.
    fn find(&mut self, now: Instant) -> Result<(), Ended> {
        let due = |assigned: &Assigned| assigned.find_at.is_some_and(|at| at <= now);
        let numbers: Vec<_> =
            self.assigned.iter().filter(|(_, assigned)| due(assigned)).map(|(n, _)| *n).collect();
        if !numbers.is_empty() && self.is_ours(now, &numbers)? {
            match self.consumer.hints(&numbers) {
                Ok(hints) => {
                    numbers.into_iter().zip(hints).for_each(|(number, hint)| self.look_up(number, hint))
                }
                Err(error) => numbers.into_iter().for_each(|number| self.find_later(number, &error)),
            }
        }
        for number in self.numbers() {
            let Some(assigned) = self.assigned.get_mut(&number) else { continue };
            if assigned.partition.wants_redo() {
                assigned.redo = self.surroundings.budget.redo();
                if assigned.redo.is_some() {
                    self.ask(number, |partition, _| partition.permit());
                }
            }
        }
        Ok(())
    }

    /// Whether the topic is still the one whose ledger was claimed: another one of the same name must not be read into
    /// it. If nobody can say, `numbers` look for their frontiers later.
    fn is_ours(&mut self, now: Instant, numbers: &[i32]) -> Result<bool, Ended> {
        match self.identity.confirm(now, || self.consumer.origin()) {
            Ok(()) => Ok(true),
            Err(Doubt::Foreign(found)) => {
                let claimed = Box::new(self.identity.claimed().clone());
                Err(Ended::Foreign { claimed, found: Box::new(found) })
            }
            Err(Doubt::Unanswered(error)) => {
                numbers.iter().for_each(|number| self.find_later(*number, &error));
                Ok(false)
            }
        }
    }

    fn look_up(&mut self, number: i32, hint: Option<Hint>) {
        let log = match self.consumer.log(number) {
            Ok(log) => log,
            Err(error) => return self.find_later(number, &error),
        };
        let Some(assigned) = self.assigned.get_mut(&number) else { return };
        let keys = assigned.partition.source().ledger();
        assigned.find_at = None;
        assigned.finding = Some(self.tasks.look_up(number, assigned.id, keys, hint, log.start));
    }

    fn find_later(&mut self, number: i32, error: &impl fmt::Display) {
        tracing::debug!(writer = %self.kind, partition = number, %error, "cannot look for the frontier yet");
        if let Some(assigned) = self.assigned.get_mut(&number) {
            let now = clock::monotonic();
            assigned.failed("look for the frontier", error, now);
            assigned.find_at = Some(now + PAUSE);
        }
    }

    /// Cuts what is old enough, and what memory asks for.
    fn cut(&mut self, now: Instant) {
        self.ask_all(|partition, gzip| partition.due(now, gzip));
        let filling = self.assigned.values().map(|assigned| assigned.partition.filling()).sum();
        let largest =
            self.assigned.iter().map(|(number, assigned)| (assigned.partition.cuttable(), *number)).max();
        let (bytes, number) = largest.unwrap_or((0, 0));
        let pressure = self.surroundings.budget.report(self.kind, filling, bytes);
        if matches!(pressure, Pressure::Cut | Pressure::Pause { cut: true }) {
            self.ask(number, |partition, gzip| partition.cut(Cause::Memory, gzip));
        }
        match pressure {
            Pressure::Pause { .. } => self.ask_all(|partition, _| partition.throttle()),
            Pressure::None => self.ask_all(|partition, _| partition.unthrottle()),
            Pressure::Cut | Pressure::Stay => {}
        }
    }

    /// Looks at what changes rarely: membership, idle partitions, metrics, health.
    fn look(&mut self, now: Instant) {
        self.kafka_away = self.kafka_away && !self.consumer.reaches_kafka();
        let kafka = match (self.kafka_away, self.consumer.joined()) {
            (true, _) => Some("no broker answers"),
            (false, false) => Some("has not joined its group yet"),
            (false, true) => None,
        };
        self.surroundings.kafka.set(self.kind, kafka.map(str::to_owned));
        let failed = self.consumer.failed_commits();
        for (number, assigned) in &mut self.assigned {
            if failed.contains(number) {
                assigned.committed = None;
            }
            if let Some(hint) = assigned.uncommitted(self.consumer.position(*number)) {
                assigned.committed = self.consumer.commit(*number, hint).is_ok().then_some(hint);
            }
        }
        let partitions = || self.assigned.values().map(|assigned| &assigned.partition);
        let stuck =
            self.assigned.iter().filter_map(|(number, assigned)| Some((number, assigned.stuck(now)?)));
        let stuck: Vec<_> =
            stuck.map(|(number, reason)| format!("{}[{number}] {reason}", self.topic)).collect();
        let holding = Holding {
            filling: partitions().map(Partition::filling).sum(),
            paused: partitions().filter(|partition| partition.paused()).count(),
            parked: self.assigned.values().filter(|assigned| assigned.parked.is_some()).count(),
            oldest: partitions()
                .filter_map(Partition::oldest)
                .min()
                .map_or(Duration::ZERO, |oldest| now - oldest),
        };
        metrics::show(self.kind, holding);
        self.surroundings.partitions.set(self.kind, (!stuck.is_empty()).then(|| stuck.join("; ")));
    }

    /// Whether the writer has stopped: everything is written and committed, or there is no time left.
    fn stopped(&mut self, now: Instant) -> bool {
        let Some(stop_by) = self.stop_by else {
            if self.surroundings.shutdown.requested() {
                self.stop_by = Some(now + self.surroundings.grace);
                self.ask_all(|partition, gzip| partition.drain(gzip));
            }
            return false;
        };
        let drained = self.assigned.values().all(|assigned| assigned.partition.drained());
        if drained {
            // The commits are hints: worth a moment, and no more.
            let since = *self.drained_since.get_or_insert(now);
            return self.consumer.commits_answered(self.assigned.keys()) || now - since >= PAUSE;
        }
        if now >= stop_by {
            tracing::warn!(writer = %self.kind, "out of time: what is not written is left to the next owner");
        }
        now >= stop_by
    }

    /// Polls, and gives the planners what came. Waits only if nothing is there.
    fn take(&mut self, now: Instant) -> Result<(), KafkaError> {
        let deadline = self.assigned.values().filter_map(|assigned| assigned.partition.next_deadline()).min();
        let mut wait = deadline.map_or(TICK, |deadline| deadline.saturating_duration_since(now).min(TICK));
        let mut bytes = 0;
        for _ in 0..BATCH {
            let actions = match self.consumer.poll(wait) {
                None => break,
                Some(Err(error)) => {
                    self.failed(error)?;
                    break;
                }
                Some(Ok(message)) => {
                    bytes += message.payload_len();
                    let assigned = self.assigned.get_mut(&message.partition());
                    let Some(assigned) = assigned.filter(|assigned| assigned.in_place()) else { continue };
                    let actions = push(&message, &mut assigned.partition, now, &mut self.gzip);
                    (!actions.is_empty()).then(|| (message.partition(), actions))
                }
            };
            if let Some((number, actions)) = actions {
                self.perform(number, actions);
            }
            if bytes >= BATCH_BYTES {
                break;
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    fn failed(&mut self, error: KafkaError) -> Result<(), KafkaError> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => return Err(error),
            KafkaError::MessageConsumption(
                code @ (RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::UnknownTopicOrPartition),
            ) => {
                // A position is outside the log, and rdkafka does not tell of which partition; or the topic is gone.
                // If it was created again, no position means anything.
                tracing::warn!(writer = %self.kind, topic = self.topic, %code, "looking for the frontiers again");
                self.identity.doubt();
                self.ask_all(|partition, _| partition.restart());
            }
            KafkaError::MessageConsumption(RDKafkaErrorCode::AllBrokersDown) => self.kafka_away = true,
            // The rest is Kafka moving; librdkafka goes on by itself.
            error => tracing::debug!(writer = %self.kind, topic = self.topic, %error, "poll"),
        }
        Ok(())
    }
}

fn push(
    message: &BorrowedMessage<'_>,
    partition: &mut Partition,
    now: Instant,
    gzip: &mut Gzip,
) -> Vec<Action> {
    let record = Record {
        offset: message.offset(),
        timestamp: model::EpochMillis(message.timestamp().to_millis().unwrap_or(-1)),
        key: message.key(),
        value: message.payload(),
        headers: message,
    };
    partition.push(&record, now, gzip)
}

impl Headers for BorrowedMessage<'_> {
    fn read(&self) -> Vec<Header<'_>> {
        service::kafka::headers(self)
    }
}
