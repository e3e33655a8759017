//! Whether every minute was counted right: against the events themselves.

use indicatif::{HumanBytes, HumanCount};

use super::super::check::{Check, Status};
use crate::minutes::{Minute, Minutes, Tally};

/// So many of what may be millions of minutes are told one by one.
const EXAMPLES: usize = 20;

/// How much of what was counted, and of its events, there was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coverage {
    /// Whether everything has arrived.
    pub(super) is_settled: bool,
    /// Whether every event was there.
    pub(super) has_events: bool,
    /// Whether every row and dead letter was there.
    pub(super) has_counts: bool,
    /// How many of the events that are looked at were forgotten on purpose: they were counted, and are gone.
    pub(super) taken_out: u64,
}

/// One way in which counts are wrong.
#[derive(Debug, Default)]
struct Wrong {
    minutes: u64,
    events: u64,
    examples: Vec<(Minute, Tally)>,
}

impl Wrong {
    fn add(&mut self, minute: Minute, tally: Tally, events: u64) {
        self.minutes += 1;
        self.events += events;
        let at = self.examples.partition_point(|(other, _)| *other < minute);
        // The earliest, whatever order a hash table has: the report is the same each time.
        if at < EXAMPLES {
            self.examples.insert(at, (minute, tally));
            self.examples.truncate(EXAMPLES);
        }
    }

    fn tell(&self, check: &mut Check, status: Status, total: &str, words: impl Fn(&Tally) -> String) {
        for ((window, postcode), tally) in &self.examples {
            check.find(status, format!("{postcode} {window}: {}", words(tally)));
        }
        if self.minutes > 0 {
            let [minutes, events] = [self.minutes, self.events].map(HumanCount);
            check.find(status, format!("in all {minutes} minutes of postcodes with {events} {total}"));
        }
    }
}

/// For every minute of a postcode: different events <= aggregates + late <= all events. What lies between is retries that
/// came after their window had closed. An open minute may have too few yet, and never too many.
pub(super) fn check(minutes: &Minutes, coverage: Coverage) -> Check {
    let mut check = Check::new("every minute is counted right");
    let (mut events, mut distinct, mut counted, mut open) = (0, 0, 0, 0);
    let (mut dropped, mut again) = (0, 0);
    let (mut few, mut many) = (Wrong::default(), Wrong::default());
    for (minute, tally) in &minutes.tallies {
        events += tally.events;
        distinct += tally.distinct;
        counted += tally.counted;
        open += u64::from(tally.is_open);
        if !tally.is_open {
            dropped += tally.events.saturating_sub(tally.counted.max(tally.distinct));
            again += tally.counted.min(tally.events).saturating_sub(tally.distinct);
        }
        if tally.counted < tally.distinct && !tally.is_open {
            few.add(*minute, *tally, tally.distinct - tally.counted);
        }
        if tally.counted_within > tally.events {
            many.add(*minute, *tally, tally.counted_within - tally.events);
        }
    }
    let status = |is_known: bool| {
        if coverage.is_settled && is_known { Status::Violated } else { Status::NotProvable }
    };
    few.tell(&mut check, status(coverage.has_counts), "events that were not counted", |tally| {
        format!("{} counted, of {} different events", tally.counted, tally.distinct)
    });
    let is_forgotten = many.events <= coverage.taken_out;
    if !is_forgotten {
        many.tell(&mut check, status(coverage.has_events), "counted that are no events in raw/", |tally| {
            format!("{} counted, of {} events", tally.counted_within, tally.events)
        });
    }
    let memory = minutes.memory() as u64;
    check.compared = format!(
        "{} different events <= {} in aggregates/ and late/ <= {} events, in {} minutes of postcodes; retries: {} not \
         counted again, {} counted again after their window had closed; not counted: {} dead, {} malformed; open: {} \
         minutes; {} of memory",
        HumanCount(distinct),
        HumanCount(counted),
        HumanCount(events),
        HumanCount(minutes.tallies.len() as u64),
        HumanCount(dropped),
        HumanCount(again),
        HumanCount(minutes.dead),
        HumanCount(minutes.malformed),
        HumanCount(open),
        HumanBytes(memory),
    );
    if is_forgotten && many.events > 0 {
        check.compared += &format!(
            "; {} more counted than there are events, of which {} were forgotten",
            HumanCount(many.events),
            HumanCount(coverage.taken_out)
        );
    }
    check.numbers.extend([
        ("minutes", minutes.tallies.len() as u64),
        ("events", events),
        ("distinct", distinct),
        ("counted", counted),
        ("retries_dropped", dropped),
        ("retries_counted", again),
        ("dead", minutes.dead),
        ("malformed", minutes.malformed),
        ("open_minutes", open),
        ("uncounted", few.events),
        ("overcounted", many.events),
        ("ids", minutes.ids() as u64),
        ("memory", memory),
    ]);
    check
}

#[cfg(test)]
mod tests {
    use model::{EpochSeconds, Window};

    use super::*;

    const WHOLE: Coverage = Coverage { is_settled: true, has_events: true, has_counts: true, taken_out: 0 };

    fn minutes(tallies: &[Tally]) -> Minutes {
        let mut minutes = Minutes::default();
        for (number, tally) in (0..).zip(tallies) {
            let window = Window::containing(EpochSeconds(60 * number));
            minutes.tallies.insert((window, "N1".parse().unwrap()), *tally);
        }
        minutes
    }

    fn tally(distinct: u64, counted: u64, events: u64) -> Tally {
        Tally { events, distinct, counted, counted_within: counted, is_open: false }
    }

    #[test]
    fn each_row_of_the_rule() {
        for (distinct, counted, events, status) in [
            (5, 5, 5, Status::Ok),
            (5, 5, 8, Status::Ok),
            (5, 7, 8, Status::Ok),
            (5, 8, 8, Status::Ok),
            (5, 9, 8, Status::Violated),
            (5, 4, 8, Status::Violated),
            (5, 0, 8, Status::Violated),
            (0, 1, 0, Status::Violated),
        ] {
            let check = check(&minutes(&[tally(distinct, counted, events)]), WHOLE);
            assert_eq!(check.status, status, "{distinct} {counted} {events}: {:?}", check.findings);
        }
    }

    #[test]
    fn retries_are_told_apart() {
        let check = check(&minutes(&[tally(5, 7, 10), tally(2, 2, 3)]), WHOLE);
        assert_eq!((check.numbers["retries_counted"], check.numbers["retries_dropped"]), (2, 4));
        assert!(check.compared.starts_with("7 different events <= 9 in aggregates/ and late/ <= 13 events"));
        assert!(check.compared.contains("2 counted again after their window had closed"));
    }

    #[test]
    fn an_open_minute_may_have_too_few_yet_and_never_too_many() {
        let open = |counted| Tally { is_open: true, ..tally(5, counted, 5) };
        assert_eq!(check(&minutes(&[open(0)]), WHOLE).status, Status::Ok);
        assert_eq!(check(&minutes(&[open(6)]), WHOLE).status, Status::Violated);
    }

    #[test]
    fn what_came_after_the_span_does_not_speak_against_it() {
        let late = Tally { counted_within: 5, ..tally(5, 9, 5) };
        assert_eq!(check(&minutes(&[late]), WHOLE).status, Status::Ok);
    }

    #[test]
    fn what_was_not_there_proves_nothing() {
        let (few, many) = (minutes(&[tally(5, 4, 5)]), minutes(&[tally(5, 6, 5)]));
        for (coverage, of_few, of_many) in [
            (Coverage { is_settled: false, ..WHOLE }, Status::NotProvable, Status::NotProvable),
            (Coverage { has_events: false, ..WHOLE }, Status::Violated, Status::NotProvable),
            (Coverage { has_counts: false, ..WHOLE }, Status::NotProvable, Status::Violated),
            (Coverage { taken_out: 1, ..WHOLE }, Status::Violated, Status::Ok),
        ] {
            assert_eq!((check(&few, coverage).status, check(&many, coverage).status), (of_few, of_many));
        }
        let two_more = minutes(&[tally(5, 7, 5)]);
        assert_eq!(check(&two_more, Coverage { taken_out: 1, ..WHOLE }).status, Status::Violated);
    }

    #[test]
    fn the_earliest_minutes_are_named_and_all_are_counted() {
        let check = check(&minutes(&[tally(5, 3, 5); 50]), WHOLE);
        assert_eq!(check.findings.len(), EXAMPLES + 1);
        assert_eq!(check.findings[0], "N1 1970-01-01T00:00:00: 3 counted, of 5 different events");
        let last = "in all 50 minutes of postcodes with 100 events that were not counted";
        assert_eq!(check.findings[EXAMPLES], last);
    }
}
