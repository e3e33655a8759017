//! Whether every event was counted once: what lies in `raw/` against what was counted, dropped, or is still open.

use std::cmp::Ordering;
use std::fmt;

use indicatif::HumanCount;
use s3_sink::Kind;
use s3_sink::ledger::{Content, Entry};

use super::check::{Check, Status};
use super::ledger::TopicLedger;
use super::quiet::{Point, Progress};

/// Both sides of the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Balance {
    raw: u64,
    dead_letter_raw: u64,
    aggregates: u64,
    late: u64,
    dead: u64,
    open: u64,
    repeats: u64,
}

impl Balance {
    const fn events(&self) -> u64 {
        self.raw + self.dead_letter_raw
    }

    const fn accounted_for(&self) -> u64 {
        self.aggregates + self.late + self.dead + self.open + self.repeats
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { raw, dead_letter_raw, aggregates, late, dead, open, repeats } = *self;
        let [raw, dead_letter_raw, aggregates, late, dead, open, repeats] =
            [raw, dead_letter_raw, aggregates, late, dead, open, repeats].map(HumanCount);
        write!(f, "{raw} in raw/ + {dead_letter_raw} in dead-letter/raw/ = {aggregates} in aggregates/ + ")?;
        write!(f, "{late} in late/ + {dead} dead + {open} in open windows + {repeats} repeats")
    }
}

/// `records(raw/) + records(dead-letter/raw/) = Σ aggregates + Σ late + dead + open + repeats`. It holds when nothing
/// is on its way.
pub(super) fn check(ledgers: &[TopicLedger], progress: &Progress, quiet: bool) -> Check {
    let mut check = Check::new("every event is counted once");
    let balance = balance(ledgers, progress, &mut check);
    check.compared = balance.to_string();
    check.numbers.extend([
        ("raw", balance.raw),
        ("dead_letter_raw", balance.dead_letter_raw),
        ("aggregates", balance.aggregates),
        ("late", balance.late),
        ("dead", balance.dead),
        ("open", balance.open),
        ("repeats", balance.repeats),
    ]);
    if !quiet {
        check.find(Status::NotProvable, "not before all has arrived; --wait 2m waits for it");
    } else if balance.events() != balance.accounted_for() {
        let unknown = check.status == Status::NotProvable || starts_late(ledgers);
        let status = if unknown { Status::NotProvable } else { Status::Violated };
        let (events, accounted) = (balance.events(), balance.accounted_for());
        let words = match events.cmp(&accounted) {
            Ordering::Greater => "not accounted for",
            _ => "accounted for, but not in raw/: counted twice, or missing there",
        };
        check.find(status, format!("events {words}: {}", HumanCount(events.abs_diff(accounted))));
        if starts_late(ledgers) {
            check.find(
                status,
                "the ledger does not start at offset 0: what was before it may have been counted",
            );
        }
    }
    check
}

fn balance(ledgers: &[TopicLedger], progress: &Progress, check: &mut Check) -> Balance {
    let mut balance = Balance::default();
    for ledger in ledgers {
        match ledger.kind {
            Kind::Raw => {
                balance.raw = records(ledger, "raw");
                balance.dead_letter_raw = records(ledger, "dead-letter/raw");
            }
            Kind::Aggregates => balance.aggregates = pageview_count(ledger, "aggregates", check),
            Kind::Late => balance.late = pageview_count(ledger, "late", check),
            Kind::DeadLetters => {}
        }
        for Entry { topic, partition, start, end, .. } in ledger
            .entries()
            .filter(|entry| entry.content == Content::Lost && ledger.kind != Kind::DeadLetters)
        {
            check.find(
                Status::NotProvable,
                format!("nobody knows what was in {topic}/{partition} [{start}, {end})"),
            );
        }
    }
    for (partition, point) in &progress.points {
        match point {
            Point::None => {}
            Point::Known(point) => {
                balance.dead += point.dead;
                balance.open += point.open;
                balance.repeats += point.repeats;
            }
            Point::Unreadable(words) => {
                check.find(
                    Status::NotProvable,
                    format!("the aggregator's offset of partition {partition}: {words}"),
                );
            }
        }
    }
    balance
}

fn records(ledger: &TopicLedger, folder: &str) -> u64 {
    ledger.objects_in(folder).map(|object| object.records).sum()
}

fn pageview_count(ledger: &TopicLedger, folder: &str, check: &mut Check) -> u64 {
    let mut sum = 0;
    for object in ledger.objects_in(folder) {
        match object.pageview_count {
            Some(count) => sum += count,
            None => check.find(Status::NotProvable, format!("the ledger has no sum for {}", object.key)),
        }
    }
    let unreadable = records(ledger, &format!("dead-letter/{folder}"));
    if unreadable > 0 {
        let words = format!(
            "{unreadable} records of {} are no counts: they are in dead-letter/{folder}/",
            ledger.topic
        );
        check.find(Status::Violated, words);
    }
    sum
}

/// Whether the sink took charge of a partition after its first records were dropped.
pub(super) fn starts_late(ledgers: &[TopicLedger]) -> bool {
    let starts_late = |ledger: &TopicLedger| {
        ledger
            .partitions
            .values()
            .any(|tiles| tiles.genesis.as_ref().is_some_and(|genesis| genesis.start > 0))
    };
    ledgers.iter().any(starts_late)
}

/// Whether what the aggregator called dead is in `dead-letter/topic/`.
pub(super) fn check_dead_letters(ledgers: &[TopicLedger], progress: &Progress, quiet: bool) -> Check {
    let mut check = Check::new("every dead letter is kept");
    let dead: u64 = progress
        .points
        .values()
        .map(|point| if let Point::Known(point) = point { point.dead } else { 0 })
        .sum();
    let kept: u64 = ledgers
        .iter()
        .filter(|ledger| ledger.kind == Kind::DeadLetters)
        .map(|ledger| records(ledger, Kind::DeadLetters.dead_letter_folder()))
        .sum();
    check.compared = format!("{dead} written by the aggregator, {kept} in dead-letter/topic/");
    check.numbers.extend([("dead", dead), ("kept", kept)]);
    if !quiet {
        check.find(Status::NotProvable, "not before all has arrived");
    } else if dead != kept {
        check.find(
            if starts_late(ledgers) { Status::NotProvable } else { Status::Violated },
            check.compared.clone(),
        );
    }
    check
}

#[cfg(test)]
mod tests {
    use aggregator::resume_point::ResumePoint;
    use s3_sink::ledger::Genesis;

    use super::super::ledger::tests::{entry, ledger};
    use super::*;

    fn ledgers(raw: u64, aggregates: u64, late: u64) -> Vec<TopicLedger> {
        let raw = entry(
            "pageviews",
            0,
            50,
            &[("dead-letter/raw/dt=2026-11-24", 1, None), ("raw/dt=2026-11-24", raw, None)],
        );
        let aggregates =
            entry("pageview-aggregates", 0, 5, &[("aggregates/dt=2026-11-24", 2, Some(aggregates))]);
        let late = entry("late-pageview-aggregates", 0, 5, &[("late/dt=2026-11-24", 1, Some(late))]);
        vec![
            ledger(Kind::Raw, "pageviews", &[raw]),
            ledger(Kind::Aggregates, "pageview-aggregates", &[aggregates]),
            ledger(Kind::Late, "late-pageview-aggregates", &[late]),
        ]
    }

    fn progress(open: u64, repeats: u64, dead: u64) -> Progress {
        let point = ResumePoint { open, repeats, dead, ..ResumePoint::at(50) };
        let points = [(0, Point::Known(point)), (1, Point::None)].into();
        Progress { points, ..Progress::default() }
    }

    #[test]
    fn a_balance_has_every_kind_of_account() {
        let check = check(&ledgers(99, 80, 10), &progress(7, 2, 1), true);
        assert_eq!((check.status, check.findings.len()), (Status::Ok, 0));
        assert_eq!(
            check.compared,
            "99 in raw/ + 1 in dead-letter/raw/ = 80 in aggregates/ + 10 in late/ + 1 dead + 7 in open windows + 2 repeats"
        );
        assert_eq!(check.numbers["aggregates"], 80);
    }

    #[test]
    fn one_event_too_few_or_too_many_is_a_violation() {
        for (aggregates, words) in [
            (79, "events not accounted for: 1"),
            (81, "events accounted for, but not in raw/: counted twice, or missing there: 1"),
        ] {
            let check = check(&ledgers(99, aggregates, 10), &progress(7, 2, 1), true);
            assert_eq!(check.status, Status::Violated);
            assert!(check.findings[0] == words, "{:?}", check.findings);
        }
    }

    #[test]
    fn nothing_is_proved_while_something_is_on_its_way_or_unknown() {
        assert_eq!(check(&ledgers(99, 79, 10), &progress(7, 2, 1), false).status, Status::NotProvable);
        let unreadable = Progress {
            points: [(0, Point::Unreadable("metadata is missing".to_owned()))].into(),
            ..Progress::default()
        };
        let check = check(&ledgers(99, 80, 10), &unreadable, true);
        assert_eq!(check.status, Status::NotProvable, "{:?}", check.findings);
    }

    #[test]
    fn what_was_before_the_ledger_may_have_been_counted() {
        let mut ledgers = ledgers(99, 85, 10);
        if let Some(partition) = ledgers[0].partitions.get_mut(&0) {
            partition.genesis = Some(Genesis { topic: "pageviews".to_owned(), partition: 0, start: 5 });
        }
        assert_eq!(check(&ledgers, &progress(7, 2, 1), true).status, Status::NotProvable);
    }

    #[test]
    fn a_result_that_is_no_count_is_a_violation() {
        let mut ledgers = ledgers(99, 80, 10);
        let broken = entry("pageview-aggregates", 5, 6, &[("dead-letter/aggregates/dt=2026-11-24", 1, None)]);
        let all: Vec<_> = ledgers[1].entries().cloned().chain([broken]).collect();
        ledgers[1] = ledger(Kind::Aggregates, "pageview-aggregates", &all);
        assert_eq!(check(&ledgers, &progress(7, 2, 1), true).status, Status::Violated);
    }

    #[test]
    fn dead_letters_are_kept() {
        let kept = entry("pageview-dead-letters", 0, 9, &[("dead-letter/topic/dt=2026-11-24", 3, None)]);
        let ledgers = [ledger(Kind::DeadLetters, "pageview-dead-letters", &[kept])];
        for (dead, quiet, status) in [
            (3, true, Status::Ok),
            (4, true, Status::Violated),
            (2, true, Status::Violated),
            (4, false, Status::NotProvable),
        ] {
            assert_eq!(check_dead_letters(&ledgers, &progress(0, 0, dead), quiet).status, status, "{dead}");
        }
    }
}
