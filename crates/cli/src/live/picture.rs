//! Puts together what was seen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{EpochMillis, PageviewAggregate};
use s3_sink::Kind;
use s3_sink::ledger::Entry;

use super::address::Service;
use super::newest::Newest;
use super::rates::History;
use super::replicas::{Answer, Replicas};
use super::top::Top;
use crate::audit::Audited;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    pub(crate) wall: EpochMillis,
}

/// What the pipeline is, by its configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Where each service is looked for.
    pub(crate) asked: BTreeMap<Service, String>,
    pub(crate) kafka: String,
    pub(crate) s3: String,
    pub(crate) grace: Duration,
    pub(crate) flush_interval: Duration,
    /// The pause between two audits; zero is never.
    pub(crate) audit_every: Duration,
}

/// What a shell has seen.
#[derive(Debug)]
pub(crate) enum Seen {
    /// Every replica that was asked.
    Replicas(Vec<Answer>),
    /// How far everybody is by their commits; or why Kafka cannot tell.
    Waiting(Result<Waiting, String>),
    /// The reading of the results begins, or begins again.
    RowsBegin,
    /// Rows of the results.
    Rows(Vec<PageviewAggregate>),
    /// Ranges that the ledger lists, or nothing new; or why S3 cannot tell.
    Entries(Result<Vec<Entry>, String>),
    /// An audit begins.
    AuditBegins,
    /// It has ended; or why it could not look.
    Audited(Result<Audited, String>),
}

/// Records in Kafka that somebody has not taken in, by their commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) aggregator: u64,
    pub(crate) writers: BTreeMap<Kind, u64>,
}

/// All that was seen.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(super) settings: Settings,
    pub(super) replicas: Replicas,
    pub(super) history: History,
    pub(super) top: Top,
    pub(super) newest: Newest,
    pub(super) kafka: Reach,
    pub(super) s3: Reach,
    pub(super) waiting: Option<Waiting>,
    pub(super) audit_began: Option<Instant>,
    pub(super) audit_trouble: Option<String>,
    pub(super) audit: Option<Done>,
}

/// Whether a system answers.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) up: Option<bool>,
    pub(super) since: Instant,
    pub(super) words: Option<String>,
}

/// An audit that has ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) at: Instant,
    pub(super) took: Duration,
    pub(super) found: Audited,
}

impl Reach {
    fn tell(&mut self, now: Instant, answer: Result<(), String>) {
        if self.up != Some(answer.is_ok()) {
            (self.up, self.since) = (Some(answer.is_ok()), now);
        }
        self.words = answer.err();
    }
}

impl Picture {
    pub(crate) fn new(settings: Settings, now: Instant) -> Self {
        let reach = || Reach { up: None, since: now, words: None };
        Self {
            settings,
            replicas: Replicas::default(),
            history: History::new(now),
            top: Top::default(),
            newest: Newest::default(),
            kafka: reach(),
            s3: reach(),
            waiting: None,
            audit_began: None,
            audit_trouble: None,
            audit: None,
        }
    }

    /// Takes in what was seen at `now`.
    pub(crate) fn take(&mut self, now: Instant, seen: Seen) {
        match seen {
            Seen::Replicas(answers) => {
                self.replicas.take(now, answers);
                self.history.push(now, self.replicas.totals.clone());
            }
            Seen::Waiting(waiting) => {
                self.kafka.tell(now, waiting.as_ref().map(drop).map_err(Clone::clone));
                self.waiting = waiting.ok();
            }
            Seen::RowsBegin => self.top = Top::default(),
            Seen::Rows(rows) => rows.iter().for_each(|row| self.top.add(row)),
            Seen::Entries(entries) => {
                self.s3.tell(now, entries.as_ref().map(drop).map_err(Clone::clone));
                entries.iter().flatten().for_each(|entry| self.newest.add(entry));
            }
            Seen::AuditBegins => self.audit_began = Some(now),
            Seen::Audited(found) => {
                let took = self.audit_began.take().map_or(Duration::ZERO, |began| now - began);
                match found {
                    Ok(found) => {
                        (self.audit, self.audit_trouble) = (Some(Done { at: now, took, found }), None);
                    }
                    Err(trouble) => self.audit_trouble = Some(trouble),
                }
            }
        }
    }
}
