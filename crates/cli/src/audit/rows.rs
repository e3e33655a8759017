//! The rows of `aggregates/` and `late/`: the objects hold what the ledger says, and in `aggregates/` there is no minute
//! of a postcode twice.

use model::{PageviewAggregate, Postcode, Window};
use s3_sink::Kind;
use s3_sink::ledger::Object;

use super::check::{Check, Status};
use crate::objects::{Found, Unread};

/// So many of what may be millions are told one by one.
const EXAMPLES: usize = 20;

/// What one object holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pairs: Vec<(Window, Postcode)>,
    pageview_count: u64,
}

impl Rows {
    pub(super) fn read(object: &Found) -> anyhow::Result<Self> {
        let mut rows = Self::default();
        object.for_each(|record| {
            let row = PageviewAggregate::parse(record.bytes())?;
            rows.pairs.push((row.window_start, row.postcode));
            rows.pageview_count += row.pageview_count;
            Ok(())
        })?;
        Ok(rows)
    }

    /// In what they differ from what the ledger says of their object.
    fn differ_from(&self, object: &Object) -> Option<String> {
        let (rows, sum) = (self.pairs.len() as u64, self.pageview_count);
        let same = rows == object.records && object.pageview_count.is_none_or(|count| count == sum);
        let says = object.pageview_count.map_or("no sum".to_owned(), |count| format!("{count} pageviews"));
        (!same).then(|| {
            let (key, records) = (&object.key, object.records);
            format!(
                "{key} holds {rows} rows with {sum} pageviews; the ledger says {records} rows with {says}"
            )
        })
    }
}

/// The check of one writer's folder, given the objects of one day after the other: rows of different days are of
/// different minutes.
#[derive(Debug)]
pub(super) struct RowsCheck {
    check: Check,
    kind: Kind,
    day: Vec<(Window, Postcode)>,
    rows: u64,
    /// How many minutes of a postcode have several rows, how many rows beside the first, and the first of them in words.
    repeated: u64,
    further: u64,
    examples: Vec<String>,
    /// How many rows the aggregator's memory valve has written early.
    partial: u64,
}

impl RowsCheck {
    pub(super) fn new(kind: Kind, partial: u64) -> Self {
        let name = match kind {
            Kind::Aggregates => "aggregates/ is as listed, no minute twice".to_owned(),
            Kind::Raw | Kind::Late | Kind::DeadLetters => format!("{kind}/ is as listed"),
        };
        Self {
            check: Check::new(name),
            kind,
            day: Vec::new(),
            rows: 0,
            repeated: 0,
            further: 0,
            examples: Vec::new(),
            partial,
        }
    }

    /// Adds what was read of `object`.
    pub(super) fn add(&mut self, object: &Object, rows: Result<Rows, Unread>) {
        match rows {
            Ok(rows) => {
                if let Some(words) = rows.differ_from(object) {
                    self.check.find(Status::Violated, words);
                }
                self.rows += rows.pairs.len() as u64;
                // Stragglers of a minute may come at any time, and each time makes a row of late/.
                if self.kind == Kind::Aggregates {
                    self.day.extend(rows.pairs);
                }
            }
            Err(unread) => self.check.find_unread(&object.key, &unread),
        }
    }

    /// All objects of a day were added.
    pub(super) fn end_day(&mut self) {
        self.day.sort_unstable();
        for pair in self.day.chunk_by(|a, b| a == b).filter(|pair| pair.len() > 1) {
            let ((window, postcode), times) = (pair[0], pair.len());
            self.further += times as u64 - 1;
            self.repeated += 1;
            if self.examples.len() < EXAMPLES {
                self.examples.push(format!("{postcode} has {times} rows for {window} in aggregates/"));
            }
        }
        self.day.clear();
    }

    pub(super) fn finish(mut self) -> Check {
        self.check.compared = format!("{} rows in {}/, their sums with the ledger's", self.rows, self.kind);
        if self.further > self.partial {
            for minute in self.examples {
                self.check.find(Status::NotProvable, minute);
            }
            let words = format!(
                "rows add up, and {} beside the first of their minute are more than the {} that the aggregator's memory \
                 valve has written early: right only where others have written a postcode's events to several \
                 partitions; the balance tells whether the sum is right",
                self.further, self.partial
            );
            self.check.find(Status::NotProvable, words);
        } else if self.further > 0 {
            self.check.compared += &format!(
                "; {} beside the first of their minute, as the aggregator's memory valve has written {} early",
                self.further, self.partial
            );
        }
        self.check.numbers.extend([
            ("rows", self.rows),
            ("repeated", self.repeated),
            ("further", self.further),
            ("partial", self.partial),
        ]);
        self.check
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::entry;
    use super::*;

    fn rows(lines: &[(&str, u64)]) -> Result<Rows, Unread> {
        let row = |(postcode, count): &(&str, u64)| {
            format!(
                "{{\"postcode\":\"{postcode}\",\"window_start\":\"2021-01-26T12:04:00\",\"pageview_count\":{count}}}\n"
            )
        };
        let text: String = lines.iter().map(row).collect();
        Rows::read(&Found::new("aggregates/x.ndjson", text)).map_err(Unread::Damaged)
    }

    fn object(records: u64, count: u64) -> Object {
        entry("pageview-aggregates", 0, 9, &[("aggregates/dt=2021-01-26", records, Some(count))]).objects()[0]
            .clone()
    }

    fn check(objects: Vec<(Object, Result<Rows, Unread>)>) -> Check {
        check_of(Kind::Aggregates, objects)
    }

    fn check_of(kind: Kind, objects: Vec<(Object, Result<Rows, Unread>)>) -> Check {
        let mut check = RowsCheck::new(kind, 0);
        objects.into_iter().for_each(|(object, rows)| check.add(&object, rows));
        check.end_day();
        check.finish()
    }

    #[test]
    fn one_row_a_minute_that_the_ledger_knows_is_ok() {
        let check = check(vec![(object(2, 5), rows(&[("SW19", 2), ("EC1", 3)]))]);
        assert_eq!((check.status, check.numbers["rows"]), (Status::Ok, 2));
    }

    #[test]
    fn two_rows_of_one_minute_are_reported() {
        let check = check(vec![(object(1, 2), rows(&[("SW19", 2)])), (object(1, 3), rows(&[("SW19", 3)]))]);
        assert_eq!((check.status, check.numbers["repeated"]), (Status::NotProvable, 1));
        assert_eq!(check.findings[0], "SW19 has 2 rows for 2021-01-26T12:04:00 in aggregates/");
    }

    #[test]
    fn rows_that_the_memory_valve_wrote_early_are_right() {
        let rows_of = |partial| {
            let mut check = RowsCheck::new(Kind::Aggregates, partial);
            check.add(&object(3, 9), rows(&[("SW19", 2), ("SW19", 3), ("SW19", 4)]));
            check.end_day();
            check.finish().status
        };
        assert_eq!((rows_of(1), rows_of(2)), (Status::NotProvable, Status::Ok));
    }

    #[test]
    fn an_object_that_holds_something_else_is_a_violation() {
        let damaged = || Err(Unread::Damaged(anyhow::anyhow!("bad gzip")));
        for found in [rows(&[("SW19", 4)]), rows(&[("SW19", 2), ("EC1", 3), ("N1", 0)]), damaged()] {
            assert_eq!(check(vec![(object(2, 5), found)]).status, Status::Violated);
        }
        assert_eq!(check_of(Kind::Late, vec![(object(2, 5), rows(&[("SW19", 4)]))]).status, Status::Violated);
    }

    #[test]
    fn an_object_that_went_away_is_a_finding_beside_the_others() {
        let check = check(vec![(object(1, 2), Err(Unread::Gone)), (object(1, 3), rows(&[("EC1", 3)]))]);
        assert_eq!((check.status, check.findings.len(), check.numbers["rows"]), (Status::NotProvable, 1, 1));
    }

    #[test]
    fn stragglers_of_one_minute_may_come_more_than_once() {
        let late = [(object(1, 2), rows(&[("SW19", 2)])), (object(1, 3), rows(&[("SW19", 3)]))];
        let check = check_of(Kind::Late, late.into());
        assert_eq!(
            (check.status, check.compared.as_str()),
            (Status::Ok, "2 rows in late/, their sums with the ledger's")
        );
    }
}
