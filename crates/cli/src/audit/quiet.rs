//! Whether the pipeline is quiet: everything in the topics is in the bucket, and everything counted is accounted for.

use std::collections::BTreeMap;
use std::fmt;

use aggregator::resume_point::ResumePoint;
use s3_sink::Kind;

use super::check::{Check, Status};

/// How far everybody is, in Kafka's eyes.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Offsets committed by the sink's writers.
    pub(super) committed: BTreeMap<(Kind, i32), i64>,
    /// What the aggregator committed for each partition of the events.
    pub(super) points: BTreeMap<i32, Point>,
    /// Partitions of the events for which the aggregator has committed something while we looked: the bucket may show
    /// more of it than `points`.
    pub(super) moved: Vec<i32>,
    /// Who has records before it that it has not taken in.
    pub(super) lags: Vec<Lag>,
    /// How many positions were looked at.
    pub(super) positions: usize,
}

/// What the aggregator committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Point {
    /// Nothing yet.
    None,
    Known(ResumePoint),
    /// An offset whose metadata is not the aggregator's.
    Unreadable(String),
}

/// Somebody who has not read a partition to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lag {
    pub(super) who: &'static str,
    pub(super) topic: String,
    pub(super) partition: i32,
    /// The next offset it will take in.
    pub(super) position: i64,
    /// The end of the partition.
    pub(super) end: i64,
}

impl Progress {
    /// Whether nothing is on its way, as far as Kafka knows.
    pub(super) const fn is_settled(&self) -> bool {
        self.lags.is_empty() && self.moved.is_empty()
    }

    /// Compares `points` with what is committed after everything else was read.
    pub(super) fn compare(&mut self, after: &BTreeMap<i32, Point>) {
        let moved = after.iter().filter(|(partition, point)| self.points.get(partition) != Some(point));
        self.moved = moved.map(|(partition, _)| *partition).collect();
    }

    /// The offset that the writer `kind` has committed.
    pub(super) fn committed(&self, kind: Kind, partition: i32) -> Option<i64> {
        self.committed.get(&(kind, partition)).copied()
    }
}

impl fmt::Display for Lag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, topic, partition, position, end } = self;
        write!(f, "{who} is at {position} of {end} in {topic}/{partition}")
    }
}

/// Whether nothing is on its way: `in_flight` are objects that are being written.
pub(super) fn check(progress: &Progress, in_flight: &[&str]) -> Check {
    let mut check = Check::new("the pipeline is quiet");
    for lag in &progress.lags {
        check.find(Status::NotProvable, lag.to_string());
    }
    for partition in &progress.moved {
        check.find(Status::NotProvable, format!("the aggregator is counting partition {partition}"));
    }
    if !in_flight.is_empty() {
        check.find(Status::NotProvable, format!("{} objects are being written", in_flight.len()));
    }
    check.compared =
        format!("{} positions of sink and aggregator with the ends of the topics", progress.positions);
    check
}

/// One line about what is waited for.
pub(super) fn words(progress: &Progress, in_flight: usize) -> String {
    let behind: i64 = progress.lags.iter().map(|lag| lag.end - lag.position).sum();
    match progress.lags.first() {
        Some(first) => format!("waiting for {behind} offsets; {first}"),
        None if !progress.moved.is_empty() => "waiting for the aggregator".to_owned(),
        None => format!("waiting for {in_flight} objects that are being written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lags_is_named() {
        let lag = Lag { who: "aggregator", topic: "pageviews".to_owned(), partition: 2, position: 7, end: 9 };
        let progress = Progress { lags: vec![lag], positions: 3, ..Progress::default() };
        let check = check(&progress, &[]);
        assert_eq!(check.status, Status::NotProvable);
        assert_eq!(check.findings, ["aggregator is at 7 of 9 in pageviews/2"]);
        assert_eq!(words(&progress, 0), "waiting for 2 offsets; aggregator is at 7 of 9 in pageviews/2");
    }

    #[test]
    fn what_is_committed_during_the_look_is_not_quiet() {
        let at = |next| BTreeMap::from([(0, Point::Known(ResumePoint::at(next))), (1, Point::None)]);
        let mut progress = Progress { points: at(7), ..Progress::default() };
        progress.compare(&at(7));
        assert!(progress.is_settled());
        progress.compare(&at(8));
        assert_eq!((progress.is_settled(), progress.moved.as_slice()), (false, &[0][..]));
        assert_eq!(check(&progress, &[]).status, Status::NotProvable);
    }

    #[test]
    fn objects_on_their_way_are_not_quiet_either() {
        assert_eq!(check(&Progress::default(), &["raw/x"]).status, Status::NotProvable);
        assert_eq!(check(&Progress::default(), &[]).status, Status::Ok);
    }
}
