//! Whether the ledger reaches as far back as Kafka knows of. A ledger that was deleted would otherwise agree with
//! itself: nothing in the bucket is nothing counted.

use s3_sink::Kind;

use super::check::{Check, Status};
use super::ledger::TopicLedger;
use super::quiet::{Point, Progress};

/// Held against the ledger of each partition:
///
/// | ledger | Kafka | |
/// | --- | --- | --- |
/// | nothing | the log is at offset 0, and nothing was counted | ok: nothing to know |
/// | nothing | the log reaches further, or the aggregator has | not provable |
/// | genesis | the sink has committed a range that the ledger has | ok |
/// | genesis | the sink has committed a range that it does not have | not provable |
///
/// Where the sink lags, it may have committed a range that was fixed after the ledger was read.
pub(super) fn check(ledgers: &[TopicLedger], progress: &Progress) -> Check {
    let mut check = Check::new("the ledger knows every partition");
    for ((kind, partition), end) in &progress.ends {
        let Some(ledger) = ledgers.iter().find(|ledger| ledger.kind == *kind) else { continue };
        let topic = &ledger.topic;
        if ledger.frontier(*partition).is_none() {
            let counted = if *kind == Kind::Raw { counted(progress, *partition) } else { 0 };
            if *end > 0 {
                let words = format!(
                    "{topic}/{partition} reaches to offset {end}, and the ledger has no genesis of it"
                );
                check.find(Status::NotProvable, words);
            } else if counted > 0 {
                let words = format!(
                    "the aggregator has read {topic}/{partition} to offset {counted}, the ledger has no genesis of it"
                );
                check.find(Status::NotProvable, words);
            }
        } else if let Some(hint) = progress.hints.get(&(*kind, *partition)) {
            let is_known =
                ledger.entries().any(|entry| entry.partition == *partition && entry.start == hint.ledger);
            if !is_known && !progress.is_behind("s3-sink", topic, *partition) {
                let words = format!(
                    "the sink has written a range of {topic}/{partition} that starts at {}, and the ledger has no such entry",
                    hint.ledger
                );
                check.find(Status::NotProvable, words);
            }
        }
    }
    check.compared = format!("{} partitions with what Kafka knows of them", progress.ends.len());
    check
}

/// The offset to which the aggregator has read the events of a partition.
fn counted(progress: &Progress, partition: i32) -> i64 {
    match progress.points.get(&partition) {
        Some(Point::Known(point)) => point.next,
        Some(Point::None | Point::Unreadable(_)) | None => 0,
    }
}

#[cfg(test)]
mod tests {
    use aggregator::resume_point::ResumePoint;
    use s3_sink::hint::Hint;

    use super::super::ledger::tests::{entry, ledger};
    use super::super::quiet::Lag;
    use super::*;

    fn whole() -> TopicLedger {
        let range = |start, end| entry("pageviews", start, end, &[("raw/dt=2026-11-24/hour=13", 1, None)]);
        ledger(Kind::Raw, "pageviews", &[range(0, 5), range(5, 9)])
    }

    fn gone() -> TopicLedger {
        TopicLedger::of(Kind::Raw, "pageviews", [])
    }

    fn progress(end: i64) -> Progress {
        Progress { ends: [((Kind::Raw, 0), end)].into(), ..Progress::default() }
    }

    fn committed(range: i64) -> Progress {
        let hint = Hint { committed: 9, ledger: range };
        Progress { hints: [((Kind::Raw, 0), hint)].into(), ..progress(9) }
    }

    #[test]
    fn a_ledger_that_is_gone_proves_nothing() {
        assert_eq!(check(&[whole()], &progress(9)).status, Status::Ok);
        let check = check(&[gone()], &progress(9));
        assert_eq!(check.status, Status::NotProvable);
        assert_eq!(check.findings, ["pageviews/0 reaches to offset 9, and the ledger has no genesis of it"]);
    }

    #[test]
    fn a_partition_that_was_counted_and_has_no_ledger_proves_nothing() {
        let counted =
            |next| Progress { points: [(0, Point::Known(ResumePoint::at(next)))].into(), ..progress(0) };
        assert_eq!(check(&[gone()], &counted(9)).status, Status::NotProvable);
        assert_eq!(check(&[gone()], &counted(0)).status, Status::Ok);
    }

    #[test]
    fn a_partition_that_never_had_a_record_needs_no_ledger() {
        assert_eq!(check(&[gone()], &progress(0)).status, Status::Ok);
    }

    #[test]
    fn an_entry_that_the_sink_has_committed_is_in_the_ledger() {
        assert_eq!(check(&[whole()], &committed(5)).status, Status::Ok);
        let only_genesis = ledger(Kind::Raw, "pageviews", &[]);
        assert_eq!(check(&[only_genesis], &committed(5)).status, Status::NotProvable);
    }

    #[test]
    fn a_range_committed_after_the_ledger_was_read_is_a_lag_and_no_loss() {
        let lag = Lag { who: "s3-sink", topic: "pageviews".to_owned(), partition: 0, position: 9, end: 12 };
        let lags = Progress { lags: vec![lag], ..committed(9) };
        assert_eq!(check(&[whole()], &lags).status, Status::Ok);
    }
}
