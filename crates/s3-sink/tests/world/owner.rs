//! A process that owns the partition, or thinks so: the shell around the planner, with the scheduler as its clock.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use s3_sink::Kind;
use s3_sink::action::{Action, Cause, Job, Plan};
use s3_sink::encode::Tools;
use s3_sink::format::Format;
use s3_sink::frontier::{Blocked, Found, Last, Log, decide};
use s3_sink::hint::Hint;
use s3_sink::ledger::Content;
use s3_sink::planner::{Cuts, Partition};
use s3_sink::protocol::{self, Outcome};
use s3_sink::range::Source;
use s3_sink::record::{NO_HEADERS, Record};
use s3_sink::store::{NewObject, Store as _};

use super::bucket::{Bucket, Connection};
use super::{Bug, Logged, Random};

pub(crate) struct Owner {
    store: Arc<Connection>,
    tools: Tools,
    /// What encoders have not done yet.
    jobs: Vec<(usize, Job)>,
    partition: Option<Partition>,
    /// Where the consumer reads next; `None` is paused.
    reads: Option<i64>,
    actions: Vec<Action>,
    tasks: Vec<Task>,
    /// Counts the assignments: an answer to an earlier one is nobody's.
    assignment: usize,
    frontier: i64,
    /// The size that cuts: configurations differ, and change between a crash and a redo.
    size: usize,
    format: Format,
    bug: Option<Bug>,
}

struct Task {
    assignment: usize,
    future: Pin<Box<dyn Future<Output = Done>>>,
}

enum Done {
    Found { last: Result<Last, Blocked>, hint: Option<Hint> },
    Wrote { start: i64, end: i64, outcome: Outcome },
}

impl Owner {
    pub(crate) fn start(bucket: &Bucket, size: usize, format: Format, bug: Option<Bug>) -> Self {
        let mut owner = Self {
            store: Arc::new(bucket.connect()),
            tools: Tools::new(),
            jobs: Vec::new(),
            partition: None,
            reads: None,
            actions: Vec::new(),
            tasks: Vec::new(),
            assignment: 0,
            frontier: 0,
            size,
            format,
            bug,
        };
        owner.reassign();
        owner
    }

    pub(crate) fn id(&self) -> usize {
        self.store.id()
    }

    pub(crate) fn reassign(&mut self) {
        self.revoke();
        let source = Source { kind: Kind::Raw, topic: "pageviews".to_owned(), partition: 0 };
        let (partition, actions) = Partition::assigned(
            source,
            Cuts { size: self.size, age: Duration::from_secs(60), format: self.format },
        );
        self.partition = Some(partition);
        self.actions = actions;
    }

    /// The partition is gone; what is being written goes on.
    pub(crate) fn revoke(&mut self) {
        self.partition = None;
        self.reads = None;
        self.actions.clear();
        self.assignment += 1;
    }

    pub(crate) fn memory_is_short(&mut self) {
        if let Some(partition) = &mut self.partition {
            self.actions.extend(partition.throttle());
            self.actions.extend(partition.cut(Cause::Memory));
            self.actions.extend(partition.unthrottle());
        }
    }

    /// The position is lost, often while a range is on its way that will be cut at another end when it is read again.
    pub(crate) fn lose_position(&mut self) {
        if let Some(partition) = &mut self.partition {
            self.actions.extend(partition.cut(Cause::Memory));
            self.actions.extend(partition.restart());
        }
    }

    pub(crate) fn drain(&mut self) {
        if let Some(partition) = &mut self.partition {
            self.actions.extend(partition.drain());
        }
    }

    pub(crate) fn time_passes(&mut self, now: Instant) {
        if let Some(partition) = &mut self.partition {
            self.actions.extend(partition.due(now));
        }
    }

    /// The next record of the log, if the consumer reads. A position that retention has passed is an error.
    pub(crate) fn deliver(&mut self, log: &[Option<Logged>], log_start: i64, now: Instant) {
        let (Some(partition), Some(mut from)) = (&mut self.partition, self.reads) else { return };
        if from < log_start {
            if self.bug != Some(Bug::JumpsAhead) {
                return self.actions.extend(partition.passed());
            }
            from = log_start;
        }
        for offset in from..log.len() as i64 {
            self.reads = Some(offset + 1);
            if let Some(logged) = &log[offset as usize] {
                let value = logged.value.as_deref();
                let record =
                    Record { offset, timestamp: logged.timestamp, key: None, value, headers: &NO_HEADERS };
                self.actions.extend(partition.push(&record, now));
                return;
            }
        }
    }

    /// An encoder does one of the jobs that it was given.
    pub(crate) fn encode(&mut self, random: &mut Random) {
        if self.jobs.is_empty() {
            return;
        }
        let (assignment, job) = self.jobs.swap_remove(random.below(self.jobs.len()));
        let encoded = job.run(&mut self.tools);
        if let Some(partition) = self.partition.as_mut().filter(|_| assignment == self.assignment) {
            self.actions.extend(partition.encoded(encoded));
        }
    }

    /// Performs what the planner asked for, and hears what became of it.
    pub(crate) fn work(
        &mut self,
        log: Log,
        now: Instant,
        committed: Option<&(i64, String)>,
        commits: &mut Vec<Hint>,
    ) -> Result<(), String> {
        loop {
            if let Some(partition) = self.partition.as_mut().filter(|partition| partition.wants_redo()) {
                self.actions.extend(partition.permit());
            }
            let actions = std::mem::take(&mut self.actions);
            for action in actions {
                self.perform(action, committed, commits)?;
            }
            if !self.poll(log, now, committed) && self.actions.is_empty() {
                return Ok(());
            }
        }
    }

    fn perform(
        &mut self,
        action: Action,
        committed: Option<&(i64, String)>,
        commits: &mut Vec<Hint>,
    ) -> Result<(), String> {
        let store = Arc::clone(&self.store);
        match action {
            Action::Pause => self.reads = None,
            Action::Read(from) => self.reads = Some(from),
            Action::Commit(hint) => {
                self.frontier = hint.committed;
                commits.push(hint);
            }
            Action::Encode(job) => self.jobs.push((self.assignment, job)),
            // Whether that is true is for the verdict to say.
            Action::Lost(_) => {}
            Action::Parked(reason) => return Err(format!("parked: {reason}")),
            Action::Find => {
                let hint = committed.and_then(|(offset, metadata)| Hint::parse(*offset, metadata));
                let keys = source().ledger();
                self.spawn(async move {
                    Done::Found { last: protocol::last(&*store, &keys, hint, 0).await, hint }
                });
            }
            Action::Write(plan) => {
                let (start, end, bug) = (plan.sealed.entry.start, plan.sealed.entry.end, self.bug);
                if bug == Some(Bug::CommitsFirst) {
                    commits.push(Hint { committed: end, ledger: start });
                }
                self.spawn(async move {
                    if bug == Some(Bug::ObjectsFirst) {
                        put_objects(&store, &plan).await;
                    }
                    Done::Wrote { start, end, outcome: protocol::write(&*store, &plan).await }
                });
            }
        }
        Ok(())
    }

    fn spawn(&mut self, future: impl Future<Output = Done> + 'static) {
        self.tasks.push(Task { assignment: self.assignment, future: Box::pin(future) });
    }

    /// Whether a task has ended.
    fn poll(&mut self, log: Log, now: Instant, committed: Option<&(i64, String)>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        for index in 0..self.tasks.len() {
            let Poll::Ready(done) = self.tasks[index].future.as_mut().poll(&mut context) else { continue };
            let assignment = self.tasks.swap_remove(index).assignment;
            let is_ours = assignment == self.assignment;
            let (bug, format) = (self.bug, self.format);
            if let Some(partition) = self.partition.as_mut().filter(|_| is_ours) {
                self.actions.extend(match done {
                    Done::Found { last: Ok(last), hint } => {
                        let found = decide(last, hint, log);
                        let committed = committed.map(|(offset, _)| *offset);
                        partition.found(now, misled(found, bug, committed, format))
                    }
                    Done::Found { last: Err(blocked), .. } => partition.found(now, Found::Blocked(blocked)),
                    Done::Wrote { start, end, outcome: Outcome::Written } => partition.written(start, end),
                    Done::Wrote { start, end, outcome: Outcome::Outdone } => partition.outdone(start, end),
                    Done::Wrote { outcome: Outcome::Blocked(reason), .. } => partition.park(reason),
                });
            }
            return true;
        }
        false
    }

    pub(crate) fn has_read_to(&self, end: i64) -> bool {
        self.reads.is_some_and(|next| next >= end)
    }

    pub(crate) fn has_written_to(&self, end: i64) -> bool {
        self.frontier >= end
    }
}

/// What an owner with this bug makes of it.
fn misled(found: Found, bug: Option<Bug>, committed: Option<i64>, format: Format) -> Found {
    let goes_on = |from| Found::Continue { from, reads: from, completed: None, committed: true, loss: None };
    match (bug, found, committed) {
        (Some(Bug::TrustsCommits), Found::Continue { .. }, Some(committed)) => goes_on(committed),
        (Some(Bug::NeverAgain), Found::Redo { entry, .. }, _) => goes_on(entry.end),
        (Some(Bug::OwnFormat), Found::Redo { mut entry, from }, _) => {
            if let Content::Written(written) = &mut entry.content {
                written.recipe.format = format.name().to_owned();
            }
            Found::Redo { entry, from }
        }
        (_, found, _) => found,
    }
}

async fn put_objects(store: &Connection, plan: &Plan) {
    let entry = &plan.sealed.entry;
    for (object, body) in entry.objects().iter().zip(&plan.sealed.bodies) {
        let metadata = protocol::metadata(entry, object);
        let (key, body) = (object.key.clone(), body.clone());
        store.create(&NewObject { key, body, content_type: "", metadata }).await;
    }
}

fn source() -> Source {
    Source { kind: Kind::Raw, topic: "pageviews".to_owned(), partition: 0 }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "written to {}, reads {:?}, {} tasks", self.frontier, self.reads, self.tasks.len())
    }
}
