//! Whether the pipeline is quiet: everything in the topics is in the bucket, and everything counted is accounted for.

use std::collections::BTreeMap;

use aggregator::resume_point::ResumePoint;
use indicatif::HumanCount;
use s3_sink::Kind;
use s3_sink::hint::Hint;

use super::check::{Check, Status};

/// How far everybody is, in Kafka's eyes.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// Offsets committed by the sink's writers.
    pub(super) committed: BTreeMap<(Kind, i32), i64>,
    /// What they say beside them of the ledger.
    pub(super) hints: BTreeMap<(Kind, i32), Hint>,
    /// The start of every partition's log: the first offset that it still holds.
    pub(super) starts: BTreeMap<(Kind, i32), i64>,
    /// The end of every partition's log: the next offset.
    pub(super) ends: BTreeMap<(Kind, i32), i64>,
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

    /// How many rows the aggregator has written before their windows closed.
    pub(super) fn partial_rows(&self) -> u64 {
        let partial = |point: &Point| match point {
            Point::Known(point) => point.partial,
            Point::None | Point::Unreadable(_) => 0,
        };
        self.points.values().map(partial).sum()
    }

    /// Compares `points` with what is committed after everything else was read.
    pub(super) fn compare(&mut self, after: &BTreeMap<i32, Point>) {
        let moved = after.iter().filter(|(partition, point)| self.points.get(partition) != Some(point));
        self.moved = moved.map(|(partition, _)| *partition).collect();
    }

    /// How many events of `topic` somebody has not taken in: each once, whether the sink lags, or the aggregator, or both.
    pub(super) fn on_their_way(&self, topic: &str) -> u64 {
        let mut behind = BTreeMap::<i32, u64>::new();
        for lag in self.lags.iter().filter(|lag| lag.topic == topic) {
            let offsets = behind.entry(lag.partition).or_default();
            *offsets = (*offsets).max(lag.end.abs_diff(lag.position));
        }
        behind.values().sum()
    }

    /// Whether `who` has records of a partition before it.
    pub(super) fn is_behind(&self, who: &str, topic: &str, partition: i32) -> bool {
        self.lags.iter().any(|lag| (lag.who, lag.topic.as_str(), lag.partition) == (who, topic, partition))
    }

    /// The offset that the writer `kind` has committed.
    pub(super) fn committed(&self, kind: Kind, partition: i32) -> Option<i64> {
        self.committed.get(&(kind, partition)).copied()
    }
}

/// One line for everybody who lags in a topic.
fn lags(lags: &[Lag]) -> Vec<String> {
    let mut by_topic = BTreeMap::<_, Vec<&Lag>>::new();
    lags.iter().for_each(|lag| by_topic.entry((lag.who, lag.topic.as_str())).or_default().push(lag));
    let line = |((who, topic), lags): ((&str, &str), Vec<&Lag>)| {
        let offsets: i64 = lags.iter().map(|lag| lag.end - lag.position).sum();
        let partitions: Vec<_> = lags.iter().map(|lag| lag.partition.to_string()).collect();
        let offsets = HumanCount(offsets.unsigned_abs());
        format!("{who} is {offsets} offsets behind in {topic}, partitions {}", partitions.join(", "))
    };
    by_topic.into_iter().map(line).collect()
}

/// Whether nothing is on its way; `in_flight` objects are being written.
pub(super) fn check(progress: &Progress, in_flight: usize) -> Check {
    let mut check = Check::new("the pipeline is quiet");
    for line in lags(&progress.lags) {
        check.find(Status::NotProvable, line);
    }
    for partition in &progress.moved {
        check.find(Status::NotProvable, format!("the aggregator is counting partition {partition}"));
    }
    if in_flight > 0 {
        check.find(Status::NotProvable, format!("{in_flight} objects are being written"));
    }
    check.compared =
        format!("{} positions of sink and aggregator with the ends of the topics", progress.positions);
    check
}

/// What is waited for.
pub(super) fn words(progress: &Progress, in_flight: usize) -> String {
    match lags(&progress.lags).as_slice() {
        [] if !progress.moved.is_empty() => "waiting: the aggregator is counting".to_owned(),
        [] => format!("waiting: {in_flight} objects are being written"),
        lines => format!("waiting: {}", lines.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lags_is_named() {
        let lag = |who, partition| {
            let topic = "pageviews".to_owned();
            Lag { who, topic, partition, position: 7, end: 1009 }
        };
        let lags = vec![lag("s3-sink", 2), lag("s3-sink", 4), lag("aggregator", 1)];
        let progress = Progress { lags, positions: 3, ..Progress::default() };
        let check = check(&progress, 0);
        assert_eq!(check.status, Status::NotProvable);
        assert_eq!(
            check.findings,
            [
                "aggregator is 1,002 offsets behind in pageviews, partitions 1",
                "s3-sink is 2,004 offsets behind in pageviews, partitions 2, 4",
            ]
        );
        assert!(words(&progress, 0).starts_with("waiting: aggregator is 1,002 offsets behind"));
    }

    #[test]
    fn an_event_is_on_its_way_once_whoever_lags() {
        let lag = |who, topic: &str, partition, position| Lag {
            who,
            topic: topic.to_owned(),
            partition,
            position,
            end: 10,
        };
        let lags = vec![
            lag("s3-sink", "pageviews", 0, 3),
            lag("aggregator", "pageviews", 0, 8),
            lag("aggregator", "pageviews", 1, 9),
            lag("s3-sink", "another", 0, 0),
        ];
        assert_eq!(Progress { lags, ..Progress::default() }.on_their_way("pageviews"), 8);
    }

    #[test]
    fn what_is_committed_during_the_look_is_not_quiet() {
        let at = |next| BTreeMap::from([(0, Point::Known(ResumePoint::at(next))), (1, Point::None)]);
        let mut progress = Progress { points: at(7), ..Progress::default() };
        progress.compare(&at(7));
        assert!(progress.is_settled());
        progress.compare(&at(8));
        assert_eq!((progress.is_settled(), progress.moved.as_slice()), (false, &[0][..]));
        assert_eq!(check(&progress, 0).status, Status::NotProvable);
    }

    #[test]
    fn objects_on_their_way_are_not_quiet_either() {
        assert_eq!(check(&Progress::default(), 1).status, Status::NotProvable);
        assert_eq!(check(&Progress::default(), 0).status, Status::Ok);
    }
}
