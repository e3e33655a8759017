//! One writer: a thread that polls, tells the planner of each partition what happened, and performs what it answers.
//! Whatever waits for S3 runs on tokio and reports over a channel; the poll loop never waits for it. Nobody else commits.

mod feed;
mod frontier;
mod look;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use service::kafka::LogEnds;
use service::{Component, Shutdown, clock};

use crate::Kind;
use crate::action::{Action, Cause};
use crate::assigned::{Assigned, Seek};
use crate::budget::{Budget, Pressure};
use crate::consumer::{Change, Consumer};
use crate::frontier::{Found, decide};
use crate::identity::Identity;
use crate::ledger::Origin;
use crate::metrics;
use crate::planner::{Cuts, Partition};
use crate::protocol::Outcome;
use crate::range::Source;
use crate::tasks::{Answer, Tasks, What};

/// The longest that a poll waits: answers of S3 are looked at in between.
const TICK: Duration = Duration::from_millis(50);
/// How many bytes of records may wait for encoders.
const MOST_UNENCODED: usize = 8 << 20;
/// A round that has taken so long leaves the rest to the next one.
const LONGEST_ROUND: Duration = Duration::from_secs(5);
/// The pause before Kafka is asked again what it could not answer, and between looks at what rarely changes.
const PAUSE: Duration = Duration::from_secs(1);

/// What a writer needs of the process.
pub(crate) struct Surroundings {
    pub(crate) budget: Arc<Budget>,
    /// This writer's share in the health of each.
    pub(crate) kafka: Component,
    pub(crate) partitions: Component,
    pub(crate) ends: LogEnds,
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
    tasks: Tasks,
    surroundings: Surroundings,
    assignments: u64,
    /// When the writer must have stopped; `None` while nobody asked it to.
    stop_by: Option<Instant>,
    drained_since: Option<Instant>,
    next_look: Instant,
    /// All brokers were away, or this is no member of its group, and none has answered since.
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
            self.listen()?;
            self.rebalance();
            let is_behind = self.unencoded() >= MOST_UNENCODED;
            self.hear(now, if is_behind { TICK } else { Duration::ZERO })?;
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
            if !is_behind {
                self.take(now)?;
            }
        }
    }

    /// Whether this round has taken long already: brokers that do not answer must not keep the thread from polling.
    fn is_late(&self, now: Instant) -> bool {
        clock::monotonic() - now >= LONGEST_ROUND
    }

    /// Bytes of records that encoders have not come to. Beyond some of them no more are taken: that is for the encoders
    /// to catch up, and never for S3.
    fn unencoded(&self) -> usize {
        self.assigned.values().map(|assigned| assigned.partition.unencoded()).sum()
    }

    fn rebalance(&mut self) {
        for change in self.consumer.changes() {
            tracing::info!(writer = %self.kind, topic = self.topic, ?change, "rebalance");
            match change {
                Change::Assigned(partitions) => {
                    self.identity.doubt();
                    self.consumer.take_over(partitions.iter().copied());
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
            self.ask(number, |partition| partition.drain());
        }
    }

    /// Asks the planner of a partition, and performs what it answers.
    fn ask(&mut self, number: i32, question: impl FnOnce(&mut Partition) -> Vec<Action>) {
        if let Some(assigned) = self.assigned.get_mut(&number) {
            let actions = question(&mut assigned.partition);
            self.perform(number, actions);
        }
    }

    fn ask_all(&mut self, question: impl Fn(&mut Partition) -> Vec<Action>) {
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
                Action::Encode(job) => self.tasks.encode(number, assigned.id, job),
                Action::Write(plan) => self.tasks.write(number, assigned.id, plan),
                Action::Lost(loss) => {
                    metrics::record_lost(self.kind, loss.offsets());
                    tracing::error!(writer = %self.kind, topic = self.topic, partition = number, "{loss}");
                }
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
    fn hear(&mut self, now: Instant, wait: Duration) -> Result<(), Ended> {
        for Answer { partition: number, id, what } in self.tasks.answers(wait) {
            if self.assigned.get(&number).is_none_or(|assigned| assigned.id != id) {
                continue;
            }
            match what {
                What::Encoded(encoded) => self.ask(number, |partition| partition.encoded(encoded)),
                What::Wrote { start, end, outcome } => self.ask(number, |partition| match outcome {
                    Outcome::Written => partition.written(start, end),
                    Outcome::Outdone => partition.outdone(start, end),
                    Outcome::Blocked(reason) => partition.park(reason),
                }),
                What::Last(Err(blocked), _) => {
                    self.ask(number, |partition| partition.found(now, Found::Blocked(blocked)));
                }
                What::Last(Ok(last), hint) => {
                    if self.is_late(now) {
                        self.find_later(number, &"others took long");
                        continue;
                    }
                    match self.consumer.log(number) {
                        // S3 may have taken long: asked after it was looked at, that log was of the topic claimed.
                        Ok(log) if self.is_ours(now, &[number])? => {
                            self.found(now, number, decide(last, hint, log), hint);
                        }
                        Ok(_) => {}
                        Err(error) => self.find_later(number, &error),
                    }
                }
            }
        }
        Ok(())
    }

    /// Cuts what is old enough, and what memory asks for.
    fn cut(&mut self, now: Instant) {
        self.ask_all(|partition| partition.due(now));
        let filling = self.assigned.values().map(|assigned| assigned.partition.filling()).sum();
        let largest =
            self.assigned.iter().map(|(number, assigned)| (assigned.partition.cuttable(), *number)).max();
        let (bytes, number) = largest.unwrap_or((0, 0));
        let pressure = self.surroundings.budget.report(self.kind, filling, bytes);
        if matches!(pressure, Pressure::Cut | Pressure::Pause { cut: true }) {
            self.ask(number, |partition| partition.cut(Cause::Memory));
        }
        match pressure {
            Pressure::Pause { .. } => self.ask_all(|partition| partition.throttle()),
            Pressure::None => self.ask_all(|partition| partition.unthrottle()),
            Pressure::Cut | Pressure::Stay => {}
        }
    }

    /// Whether the writer has stopped: everything is written and committed, or there is no time left.
    fn stopped(&mut self, now: Instant) -> bool {
        let Some(stop_by) = self.stop_by else {
            if self.surroundings.shutdown.requested() {
                self.stop_by = Some(now + self.surroundings.grace);
                self.ask_all(|partition| partition.drain());
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
}
