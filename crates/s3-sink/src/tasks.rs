//! What takes time: waiting for S3 on tokio, and encoding on threads of its own. Both report over a channel, so that the
//! thread that polls never waits.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::Kind;
use crate::action::{Encoded, Job, Plan};
use crate::budget::Budget;
use crate::encoders::Encoders;
use crate::frontier::{Blocked, Last};
use crate::hint::Hint;
use crate::metrics;
use crate::object_name::LedgerKeys;
use crate::patient::Patient;
use crate::protocol::{self, Outcome};

/// The tasks of one writer.
pub(crate) struct Tasks {
    kind: Kind,
    store: Arc<Patient>,
    budget: Arc<Budget>,
    encoders: Encoders,
    tokio: Handle,
    answers: (Sender<Answer>, Receiver<Answer>),
}

/// What a task found out.
pub(crate) struct Answer {
    pub(crate) partition: i32,
    /// The assignment that asked.
    pub(crate) id: u64,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// What the ledger says last, and the hint that was used.
    Last(Result<Last, Blocked>, Option<Hint>),
    /// A job is done.
    Encoded(Encoded),
    /// What became of the range `[start, end)`.
    Wrote { start: i64, end: i64, outcome: Outcome },
}

/// A look into the ledger; given up when dropped.
pub(crate) struct LookUp(AbortHandle);

impl Drop for LookUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    pub(crate) fn new(store: Patient, budget: Arc<Budget>, encoders: Encoders, tokio: Handle) -> Self {
        Self { kind: store.kind(), store: Arc::new(store), budget, encoders, tokio, answers: channel() }
    }

    /// What was found out since the last call; waits up to `wait` for the first.
    pub(crate) fn answers(&self, wait: Duration) -> Vec<Answer> {
        let first = if wait.is_zero() { None } else { self.answers.1.recv_timeout(wait).ok() };
        first.into_iter().chain(self.answers.1.try_iter()).collect()
    }

    /// Bytes that are being written.
    pub(crate) fn writing(&self) -> usize {
        self.budget.written_by(self.kind)
    }

    /// Has a job done.
    pub(crate) fn encode(&self, partition: i32, id: u64, job: Job) {
        let answers = self.answers.0.clone();
        self.encoders.give(job, move |encoded| {
            let _ = answers.send(Answer { partition, id, what: What::Encoded(encoded) });
        });
    }

    /// Writes a range. That is never given up: what is being written when a partition goes may finish.
    pub(crate) fn write(&self, partition: i32, id: u64, plan: Plan) {
        let kind = self.kind;
        metrics::record_cut(kind, plan.cause);
        let bytes = plan.sealed.bodies.iter().map(bytes::Bytes::len).sum();
        let held = self.budget.writing(kind, bytes);
        let (store, answers) = (Arc::clone(&self.store), self.answers.0.clone());
        self.tokio.spawn(async move {
            let outcome = protocol::write(&*store, &plan).await;
            let entry = &plan.sealed.entry;
            match outcome {
                Outcome::Written => {
                    metrics::record_written(kind, entry, bytes);
                    tracing::debug!(
                        writer = %kind, topic = entry.topic, partition, start = entry.start, end = entry.end,
                        bytes, cause = ?plan.cause, "written"
                    );
                }
                Outcome::Outdone => metrics::record_outdone(kind),
                Outcome::Blocked(_) => {}
            }
            drop(held);
            let what = What::Wrote { start: entry.start, end: entry.end, outcome };
            // Nobody listens once the writer has stopped.
            let _ = answers.send(Answer { partition, id, what });
        });
    }

    /// Looks up what the ledger says last of a partition.
    pub(crate) fn look_up(
        &self,
        partition: i32,
        id: u64,
        keys: LedgerKeys,
        hint: Option<Hint>,
        log_start: i64,
    ) -> LookUp {
        let (store, answers) = (Arc::clone(&self.store), self.answers.0.clone());
        let task = self.tokio.spawn(async move {
            let last = protocol::last(&*store, &keys, hint, log_start).await;
            let _ = answers.send(Answer { partition, id, what: What::Last(last, hint) });
        });
        LookUp(task.abort_handle())
    }
}
