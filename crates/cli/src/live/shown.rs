//! Tells a [`Picture`] as a [`Snapshot`].

use std::time::{Duration, Instant};

use model::{EpochMillis, Postcode, Window};
use s3_sink::Kind;

use super::address::Service;
use super::newest::New;
use super::picture::{Done, Moment, Picture, Reach};
use super::replicas::{Replica, State};
use super::sample::{Counter, Sample};
use super::snapshot::{self, Snapshot};
use super::verdict::verdict;
use crate::audit::{Check, Status};

/// Over how long a rate is taken that has to be of now; one of what comes by the minute, or in objects.
const NOW: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: Duration = Duration::from_secs(120);
const HISTORY: Duration = super::rates::HISTORY;
/// How many postcodes are shown.
const POSTCODES: usize = 10;
/// Stream time that is further behind than this stands still.
const STILL: f64 = 90.0;

impl Picture {
    /// What is shown at `now`.
    pub(crate) fn snapshot(&self, Moment { instant: now, wall }: Moment) -> Snapshot {
        let settings = &self.settings;
        let mut snapshot = Snapshot {
            at: wall.to_seconds().to_string(),
            intake: self.intake(now),
            counting: self.counting(wall),
            storing: self.storing(),
            top: self.top(),
            services: Service::ALL.into_iter().map(|service| self.service(now, service)).collect(),
            kafka: reach(&self.kafka, now, &settings.kafka),
            s3: reach(&self.s3, now, &settings.s3),
            objects: self.objects(wall),
            audit: self.audit(now),
            ..Snapshot::default()
        };
        snapshot.verdict = verdict(&snapshot);
        snapshot
    }

    fn intake(&self, now: Instant) -> snapshot::Intake {
        let milliseconds = |quantile| {
            let time = self.history.quantile(quantile, MINUTE)?;
            Some(rounded(time.as_secs_f64() * 1e3, 100.0))
        };
        let requests = self.history.growth(Counter::Requests, MINUTE);
        let share =
            |of| (requests > 0.0).then(|| rounded(self.history.growth(of, MINUTE) / requests, 10_000.0));
        let curve = self.history.curve(now, Counter::Accepted);
        snapshot::Intake {
            events: self.rate(Service::IngestApi, Counter::Accepted, NOW),
            curve: curve.into_iter().map(|point| point.map(|rate| rounded(rate, 10.0))).collect(),
            requests: self.rate(Service::IngestApi, Counter::Requests, NOW),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
            refused: share(Counter::Refused),
            failed: share(Counter::Failed),
        }
    }

    fn counting(&self, wall: EpochMillis) -> snapshot::Counting {
        let sum = |of: fn(&Sample) -> f64| self.replicas.samples().map(of).sum::<f64>();
        let behind = self.replicas.samples().filter_map(|sample| sample.behind).reduce(f64::max);
        let open_windows = sum(|sample| sample.open_windows);
        let next = behind.filter(|_| open_windows > 0.0);
        // What the processes say is of now; commits come with the rows of a window.
        let lags = self.replicas.of(Service::Aggregator).filter(|(_, replica)| !replica.is_away());
        let lag = lags.filter_map(|(_, replica)| lag(replica)).reduce(u64::saturating_add);
        snapshot::Counting {
            read: self.rate(Service::Aggregator, Counter::Consumed, NOW),
            counted: self.rate(Service::Aggregator, Counter::Counted, MINUTES),
            rows: self.rate(Service::Aggregator, Counter::Rows, MINUTES),
            late: self.rate(Service::Aggregator, Counter::Late, MINUTES),
            repeats: self.history.growth(Counter::Repeats, HISTORY),
            dead_letters: self.history.growth(Counter::DeadLetters, HISTORY),
            open_windows,
            open_counts: sum(|sample| sample.open_counts),
            behind: behind.map(|behind| rounded(behind, 10.0)),
            waiting: lag.or(self.waiting.as_ref().map(|waiting| waiting.aggregator)),
            next: next.map(|behind| next_window(wall, behind, self.settings.grace)),
        }
    }

    fn storing(&self) -> snapshot::Storing {
        let sum = |of: fn(&Sample) -> f64| self.replicas.samples().map(of).sum::<f64>();
        let waiting = |kind: Kind| self.waiting.as_ref()?.writers.get(&kind).copied();
        let writer = |kind: Kind| snapshot::Writer { name: kind.name(), waiting: waiting(kind) };
        let lost = |sample: &Sample| sample.counter(Counter::LostOffsets) + sample.counter(Counter::Missed);
        snapshot::Storing {
            events: self.rate(Service::S3Sink, Counter::Stored, MINUTE),
            objects_a_minute: self.history.growth(Counter::Objects, MINUTE),
            bytes: self.rate(Service::S3Sink, Counter::Bytes, MINUTE),
            oldest: self.replicas.samples().map(|sample| sample.oldest).fold(0.0, f64::max),
            flush_interval: self.settings.flush_interval.as_secs(),
            waiting: waiting(Kind::Raw),
            writers: Kind::ALL.into_iter().map(writer).collect(),
            parked: sum(|sample| sample.parked),
            lost: sum(lost),
        }
    }

    fn top(&self) -> Option<snapshot::TopMinutes> {
        let ranking = self.top.ranking(POSTCODES)?;
        let row = |(postcode, pageviews): (Postcode, u64)| snapshot::TopRow {
            postcode: postcode.to_string(),
            pageviews,
        };
        Some(snapshot::TopMinutes {
            first: ranking.first.to_string(),
            last: ranking.last.to_string(),
            pageviews: ranking.total,
            postcodes: ranking.postcodes,
            rows: ranking.rows.into_iter().map(row).collect(),
        })
    }

    fn service(&self, now: Instant, service: Service) -> snapshot::Service {
        let replicas = self.replicas.of(service).map(|(at, replica)| {
            let said = replica.said.troubles.iter().map(|trouble| snapshot::Trouble {
                component: trouble.component.clone(),
                words: trouble.words.clone(),
            });
            let silence = replica
                .silence
                .iter()
                .map(|words| snapshot::Trouble { component: "no answer".to_owned(), words: words.clone() });
            let sample = &replica.said.sample;
            snapshot::Replica {
                name: replica.name.clone(),
                address: at.to_string(),
                state: state(replica.state),
                seconds: seconds(now, replica.since),
                troubles: if replica.is_away() { silence.collect() } else { said.collect() },
                restarts: replica.restarts,
                cores: replica.cores().map(|cores| rounded(cores, 100.0)),
                memory_bytes: sample.memory,
                lag: lag(replica),
                version: sample.version.clone(),
            }
        });
        let asked = self.settings.asked.get(&service).cloned().unwrap_or_default();
        snapshot::Service { name: service.name(), asked, replicas: replicas.collect() }
    }

    fn objects(&self, wall: EpochMillis) -> Vec<snapshot::Folder> {
        let folder = |(name, objects): (&'static str, &[New])| {
            let object = |new: &New| snapshot::Object {
                key: new.key.clone(),
                records: new.records,
                seconds: wall.since(new.last).as_secs(),
            };
            snapshot::Folder { name, objects: objects.iter().map(object).collect() }
        };
        self.newest.folders().map(folder).collect()
    }

    fn audit(&self, now: Instant) -> snapshot::Audit {
        let last = self.audit.as_ref().map(|Done { at, took, found }| {
            let check = |check: &Check| snapshot::Check {
                name: check.name.clone(),
                result: finding(check.status, found.only_waits),
                compared: check.compared.clone(),
                findings: check.findings.clone(),
            };
            snapshot::Audited {
                result: finding(found.status, found.only_waits),
                seconds: seconds(now, *at),
                took_ms: took.as_millis().try_into().unwrap_or(u64::MAX),
                events: found.events,
                on_their_way: found.on_their_way,
                checks: found.checks.iter().map(check).collect(),
            }
        });
        snapshot::Audit {
            every: self.settings.audit_every.as_secs(),
            running: self.audit_began.map(|began| seconds(now, began)),
            trouble: self.audit_trouble.clone(),
            last,
        }
    }

    /// Not known where no replica of `service` tells.
    fn rate(&self, service: Service, counter: Counter, over: Duration) -> Option<f64> {
        let is_told = self.replicas.of(service).any(|(_, replica)| !replica.is_away());
        self.history.rate(counter, over).filter(|_| is_told).map(|rate| rounded(rate, 10.0))
    }
}

fn reach(reach: &Reach, now: Instant, asked: &str) -> snapshot::Reach {
    let (asked, words) = (asked.to_owned(), reach.words.clone());
    snapshot::Reach { asked, up: reach.up, seconds: seconds(now, reach.since), words }
}

/// The window that closes first: the one that stream time, less the grace time, is in.
fn next_window(wall: EpochMillis, behind: f64, grace: Duration) -> snapshot::NextWindow {
    let stream_time = wall.minus(Duration::from_secs_f64(behind.max(0.0)));
    let window = Window::containing(stream_time.minus(grace).to_seconds());
    let closes = window.end().to_millis().plus(grace);
    let closes_in = (behind < STILL).then(|| closes.since(stream_time).as_secs());
    snapshot::NextWindow { start: window.to_string(), closes_in }
}

/// The offsets that a replica has still to take in.
fn lag(replica: &Replica) -> Option<u64> {
    let lag = &replica.said.sample.lag;
    (!lag.is_empty()).then(|| lag.values().sum::<f64>() as u64)
}

const fn state(state: State) -> snapshot::State {
    match state {
        State::Up => snapshot::State::Up,
        State::Down => snapshot::State::Down,
        State::Stopping => snapshot::State::Stopping,
        State::Gone => snapshot::State::Gone,
        State::Left => snapshot::State::Left,
    }
}

/// What cannot be proved while something is on its way is not missing.
const fn finding(status: Status, only_waits: bool) -> snapshot::Finding {
    match status {
        Status::Ok => snapshot::Finding::Ok,
        Status::NotProvable if only_waits => snapshot::Finding::OnItsWay,
        Status::NotProvable => snapshot::Finding::NotProvable,
        Status::Violated => snapshot::Finding::Violated,
    }
}

fn seconds(now: Instant, since: Instant) -> u64 {
    now.saturating_duration_since(since).as_secs()
}

/// To so many parts of one: what nobody sees need not be sent.
fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

#[cfg(test)]
#[path = "shown_tests.rs"]
mod tests;
