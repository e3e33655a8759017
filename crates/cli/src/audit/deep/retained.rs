//! Whether the objects of a range hold what its topic still holds: each record once, with the same bytes.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use s3_sink::Kind;

use super::super::check::{Check, Status};
use super::content::{Content, Listing};
use super::fingerprint::Sum;

/// Which range: the writer, the partition, and the offset that it starts at.
pub(super) type RangeKey = (Kind, i32, i64);

/// What the objects of one range hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Range {
    end: i64,
    /// The first offset that the topic still holds.
    from: i64,
    objects: Sum,
    /// All of its records, by the ledger.
    records: u64,
    /// Objects whose offsets nobody knows.
    unplaced: Vec<String>,
    /// Whether every object was there to be read.
    is_whole: bool,
    /// Whether something was taken out of it on purpose.
    is_changed: bool,
}

/// All ranges that are looked at.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<RangeKey, Range>);

/// What a topic holds of the ranges asked for.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) sums: BTreeMap<RangeKey, Sum>,
    /// The first offset of each partition, after all was read.
    pub(super) starts: BTreeMap<(Kind, i32), i64>,
}

/// A part `[from, end)` of a partition that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: RangeKey,
    pub(super) from: i64,
    pub(super) end: i64,
}

impl Ranges {
    /// Begins a range of the ledger, of which something was taken out or not.
    pub(super) fn begin(&mut self, key: RangeKey, end: i64, from: i64, records: u64, is_changed: bool) {
        let range = Range { end, from, records, is_changed, is_whole: true, ..Range::default() };
        self.0.insert(key, range);
    }

    /// Adds what one of its objects holds; `None` if that could not be read.
    pub(super) fn add(&mut self, listing: &Listing, content: Option<&Content>) {
        let Some(range) = self.0.get_mut(&(listing.kind, listing.partition, listing.start)) else { return };
        match content {
            None => range.is_whole = false,
            Some(content) => {
                range.objects = range.objects.plus(content.retained);
                if content.checksum.is_none() {
                    range.unplaced.push(listing.object.key.clone());
                }
            }
        }
    }

    /// What is to be read of the topics, by partition.
    pub(super) fn parts(&self) -> BTreeMap<(Kind, i32), Vec<Part>> {
        let mut parts = BTreeMap::<_, Vec<Part>>::new();
        for (key, range) in &self.0 {
            if range.from < range.end && range.is_whole && !range.is_changed {
                let part = Part { key: *key, from: range.from, end: range.end };
                parts.entry((key.0, key.1)).or_default().push(part);
            }
        }
        parts
    }

    /// Compares with what the topics hold. Of each range:
    ///
    /// | the topic | the ledger knows the offsets | it does not |
    /// | --- | --- | --- |
    /// | holds the same records | ok | ok: they are compared instead of the checksum |
    /// | holds others | violated | violated |
    /// | holds a part | that part is compared | not provable |
    /// | holds none | by its checksum only | not provable |
    pub(super) fn check(&self, held: &Held, name: impl Fn(Kind) -> String) -> Check {
        let mut check = Check::new("the objects are what the topics hold");
        let (mut compared, mut older, mut changed, mut unread) = (0, 0, 0, 0);
        for (key @ (kind, partition, start), range) in &self.0 {
            let topic = name(*kind);
            let at = format!("{topic}/{partition} [{start}, {})", range.end);
            // What retention has dropped while it was read was not compared.
            let log_start = held.starts.get(&(*kind, *partition)).copied().unwrap_or(range.from);
            let sum = held.sums.get(key).filter(|_| log_start <= range.from);
            let placed_by_topic = match sum {
                _ if range.is_changed => {
                    changed += range.records;
                    false
                }
                _ if !range.is_whole => {
                    unread += range.records;
                    false
                }
                None => {
                    older += range.records;
                    false
                }
                Some(_) if range.from > *start && !range.unplaced.is_empty() => {
                    older += range.records;
                    false
                }
                Some(sum) if range.objects.is_of(sum) => {
                    compared += sum.records;
                    older += range.records.saturating_sub(sum.records);
                    true
                }
                Some(sum) => {
                    let (theirs, ours) = (sum.records, range.objects.records);
                    let words = if theirs == ours { "others" } else { "not as many" };
                    let words =
                        format!("{at}: the topic holds {theirs} records, the objects {ours}: {words}");
                    check.find(Status::Violated, words);
                    true
                }
            };
            if !placed_by_topic {
                for object in &range.unplaced {
                    let words = format!(
                        "{object}: the ledger does not tell its offsets and the topic no longer has them: its checksum \
                         cannot be computed"
                    );
                    check.find(Status::NotProvable, words);
                }
            }
        }
        let [told, rest] = [compared, older].map(HumanCount);
        check.compared =
            format!("{told} records with those of the topics; {rest} are older than what the topics hold");
        for (count, words) in
            [(changed, "are of ranges of which something was forgotten"), (unread, "could not be read")]
        {
            if count > 0 {
                check.compared += &format!("; {} {words}", HumanCount(count));
            }
        }
        check.numbers.extend([
            ("compared", compared),
            ("older", older),
            ("changed", changed),
            ("unread", unread),
            ("ranges", self.0.len() as u64),
        ]);
        check
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::tests::{listing, read};
    use super::super::fingerprint::Fingerprints;
    use super::*;

    const KEY: RangeKey = (Kind::Aggregates, 0, 7);
    const RECORDS: [(i64, &str); 3] = [(7, "a"), (8, "bb"), (11, "ccc")];

    struct Case {
        lines: &'static str,
        /// What the topic holds of the range, if anything, and its first offset afterwards.
        topic: Option<&'static [(i64, &'static str)]>,
        log_start: i64,
        knows_offsets: bool,
    }

    const CASE: Case =
        Case { lines: "a\nbb\nccc\n", topic: Some(&RECORDS), log_start: 0, knows_offsets: true };

    fn judge(case: &Case) -> Check {
        let fingerprints = Fingerprints::default();
        let mut listing = listing(&RECORDS, 6);
        listing.retained_from = case.log_start.max(7);
        if !case.knows_offsets {
            listing.object.offsets = None;
        }
        let mut ranges = Ranges::default();
        ranges.begin(KEY, 12, listing.retained_from, 3, false);
        ranges.add(&listing, Some(&read(&listing, case.lines, &fingerprints)));
        let mut held = Held { starts: [((Kind::Aggregates, 0), case.log_start)].into(), ..Held::default() };
        if let Some(records) = case.topic {
            let mut sum = Sum::default();
            for (offset, value) in records {
                fingerprints.add(&mut sum, Some(*offset), Some(value.as_bytes()));
            }
            held.sums.insert(KEY, sum);
        }
        ranges.check(&held, |kind| kind.to_string())
    }

    #[test]
    fn each_row_of_the_table() {
        const PART: &[(i64, &str)] = &[(8, "bb"), (11, "ccc")];
        const OTHER: &[(i64, &str)] = &[(7, "a"), (8, "bb"), (11, "ccd")];
        for (topic, log_start, known, unknown) in [
            (Some(&RECORDS[..]), 0, Status::Ok, Status::Ok),
            (Some(OTHER), 0, Status::Violated, Status::Violated),
            (Some(PART), 8, Status::Ok, Status::NotProvable),
            (None, 12, Status::Ok, Status::NotProvable),
        ] {
            for (knows_offsets, status) in [(true, known), (false, unknown)] {
                let check = judge(&Case { topic, log_start, knows_offsets, ..CASE });
                assert_eq!(check.status, status, "{log_start} {knows_offsets}: {:?}", check.findings);
            }
        }
    }

    #[test]
    fn a_record_that_is_missing_twice_or_elsewhere_is_a_violation() {
        for topic in [
            &[(7, "a"), (8, "bb")][..],
            &[(7, "a"), (8, "bb"), (10, "x"), (11, "ccc")],
            &[(7, "a"), (9, "bb"), (11, "ccc")],
        ] {
            let check = judge(&Case { topic: Some(topic), ..CASE });
            assert_eq!(check.status, Status::Violated);
            assert!(
                check.findings[0].starts_with("aggregates/0 [7, 12): the topic holds"),
                "{:?}",
                check.findings
            );
        }
    }

    #[test]
    fn what_is_compared_and_what_is_older_is_told() {
        let whole = judge(&CASE);
        assert_eq!((whole.numbers["compared"], whole.numbers["older"]), (3, 0));
        let part = judge(&Case { topic: Some(&RECORDS[1..]), log_start: 8, ..CASE });
        assert_eq!((part.numbers["compared"], part.numbers["older"]), (2, 1));
    }

    #[test]
    fn what_retention_drops_meanwhile_is_not_compared() {
        let mut ranges = Ranges::default();
        ranges.begin(KEY, 12, 7, 3, false);
        let mut sum = Sum::default();
        Fingerprints::default().add(&mut sum, Some(11), Some(b"ccc"));
        let held = Held { sums: [(KEY, sum)].into(), starts: [((Kind::Aggregates, 0), 10)].into() };
        let check = ranges.check(&held, |kind| kind.to_string());
        assert_eq!((check.status, check.numbers["older"]), (Status::Ok, 3));
    }

    #[test]
    fn a_range_of_which_something_is_gone_is_not_read_again() {
        let mut ranges = Ranges::default();
        ranges.begin(KEY, 12, 7, 3, true);
        ranges.begin((Kind::Raw, 0, 0), 5, 5, 5, false);
        ranges.begin((Kind::Raw, 0, 5), 9, 6, 4, false);
        let parts = ranges.parts();
        let part = Part { key: (Kind::Raw, 0, 5), from: 6, end: 9 };
        assert_eq!(parts, [((Kind::Raw, 0), vec![part])].into());
        let mut lost = listing(&RECORDS, 6);
        (lost.kind, lost.start) = (Kind::Raw, 5);
        ranges.add(&lost, None);
        assert!(ranges.parts().is_empty());
        let check = ranges.check(&Held::default(), |kind| kind.to_string());
        assert_eq!((check.numbers["changed"], check.numbers["unread"]), (3, 4));
    }
}
