//! The rows of `aggregates/`: no minute of a postcode twice, and the objects hold what the ledger says.

use std::io::BufRead;

use model::{PageviewAggregate, Postcode, Window};
use s3_sink::ledger::Object;

use super::check::{Check, Status};
use crate::objects::for_each_line;

/// What one object holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pairs: Vec<(Window, Postcode)>,
    pageview_count: u64,
}

impl Rows {
    pub(super) fn read(lines: &mut dyn BufRead) -> anyhow::Result<Self> {
        let mut rows = Self::default();
        for_each_line(lines, |line| {
            let row = PageviewAggregate::parse(line)?;
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

/// The check, given the objects of one day after the other: rows of different days are of different minutes.
#[derive(Debug)]
pub(super) struct RowsCheck {
    check: Check,
    day: Vec<(Window, Postcode)>,
    rows: u64,
    repeated: u64,
}

impl RowsCheck {
    pub(super) fn new() -> Self {
        Self { check: Check::new("no minute of a postcode twice"), day: Vec::new(), rows: 0, repeated: 0 }
    }

    /// Adds what was read of `object`, listed in the ledger or not.
    pub(super) fn add(&mut self, key: &str, listed: Option<&Object>, rows: Result<Rows, String>) {
        match rows {
            Ok(rows) => {
                if let Some(words) = listed.and_then(|object| rows.differ_from(object)) {
                    self.check.find(Status::Violated, words);
                }
                self.rows += rows.pairs.len() as u64;
                self.day.extend(rows.pairs);
            }
            Err(words) => self.check.find(Status::Violated, format!("{key} cannot be read: {words}")),
        }
    }

    /// All objects of a day were added.
    pub(super) fn end_day(&mut self) {
        self.day.sort_unstable();
        for pair in self.day.chunk_by(|a, b| a == b).filter(|pair| pair.len() > 1) {
            let ((window, postcode), times) = (pair[0], pair.len());
            self.repeated += 1;
            self.check.find(
                Status::NotProvable,
                format!("{postcode} has {times} rows for {window} in aggregates/"),
            );
        }
        self.day.clear();
    }

    pub(super) fn finish(mut self) -> Check {
        if self.repeated > 0 {
            let words = "rows add up, and more than one is right only where the aggregator's memory valve has written \
                         parts of a count; the balance tells whether the sum is right";
            self.check.find(Status::NotProvable, words);
        }
        self.check.compared = format!("{} rows in aggregates/, their sums with the ledger's", self.rows);
        self.check.numbers.extend([("rows", self.rows), ("repeated", self.repeated)]);
        self.check
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::entry;
    use super::*;

    fn rows(lines: &[(&str, u64)]) -> Result<Rows, String> {
        let row = |(postcode, count): &(&str, u64)| {
            format!(
                "{{\"postcode\":\"{postcode}\",\"window_start\":\"2021-01-26T12:04:00\",\"pageview_count\":{count}}}\n"
            )
        };
        let text: String = lines.iter().map(row).collect();
        Rows::read(&mut text.as_bytes()).map_err(|error| error.to_string())
    }

    fn object(records: u64, count: u64) -> Object {
        entry("pageview-aggregates", 0, 9, &[("aggregates/dt=2021-01-26", records, Some(count))]).objects()[0]
            .clone()
    }

    fn check(objects: Vec<(Object, Result<Rows, String>)>) -> Check {
        let mut check = RowsCheck::new();
        objects.into_iter().for_each(|(object, rows)| check.add(&object.key, Some(&object), rows));
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
    fn an_object_that_holds_something_else_is_a_violation() {
        for found in
            [rows(&[("SW19", 4)]), rows(&[("SW19", 2), ("EC1", 3), ("N1", 0)]), Err("damaged".to_owned())]
        {
            assert_eq!(check(vec![(object(2, 5), found)]).status, Status::Violated);
        }
    }
}
