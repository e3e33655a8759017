//! What an object holds, byte for byte, against what is said of it.

use std::collections::BTreeMap;

use indicatif::{HumanBytes, HumanCount};
use s3_sink::Kind;
use s3_sink::checksum::{Checksum, Hasher};
use s3_sink::decode::Decoded;
use s3_sink::forgotten;
use s3_sink::ledger::Object;
use s3_sink::offsets::Offsets;

use super::super::check::{Check, Status};
use super::fingerprint::{Fingerprints, Sum};
use crate::objects::{Found, Unread};

/// An object that is to be read, and all that is said of it.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) kind: Kind,
    pub(super) partition: i32,
    /// The range of offsets `[start, end)` that it belongs to.
    pub(super) start: i64,
    pub(super) end: i64,
    /// What was written. Its metadata names that content for ever.
    pub(super) object: Object,
    /// What was left of it whenever something was forgotten, by the document that says so.
    pub(super) left: BTreeMap<String, Object>,
    /// The first offset of its range that the topic still holds; its end if there is none.
    pub(super) retained_from: i64,
    /// Whether every record of its range is older than the end of the span that is looked at.
    pub(super) is_within: bool,
}

/// What an object was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    bytes: u64,
    records: u64,
    /// `None` where not every offset is known.
    pub(super) checksum: Option<Checksum>,
    /// What its metadata says.
    stored: Option<Checksum>,
    /// The document that its metadata names.
    forgotten: Option<String>,
    pageview_count: u64,
    /// An offset that is not of its range, or not greater than those before it.
    misplaced: Option<i64>,
    /// The records that the topic still holds.
    pub(super) retained: Sum,
}

impl Listing {
    /// Whether its records are events.
    pub(super) fn has_events(&self) -> bool {
        self.kind == Kind::Raw && self.is_own()
    }

    /// Whether its records are counts.
    pub(super) fn has_counts(&self) -> bool {
        matches!(self.kind, Kind::Aggregates | Kind::Late) && self.is_own()
    }

    /// Whether they are in the writer's own format, and no dead letters.
    fn is_own(&self) -> bool {
        let rest = self.kind.folder().and_then(|folder| self.object.key.strip_prefix(folder));
        rest.is_some_and(|rest| rest.starts_with('/'))
    }

    /// How many events were taken out of it, going by the document that `content` names.
    pub(super) fn taken_out(&self, content: &Content) -> u64 {
        let left = self.said(content.forgotten.as_deref()).filter(|_| self.has_events());
        left.map_or(0, |left| self.object.records.saturating_sub(left.records))
    }

    /// What it has to hold if its metadata names the document `forgotten`: one that was written and not yet carried out
    /// says nothing of it.
    fn said(&self, forgotten: Option<&str>) -> Option<&Object> {
        forgotten.map_or(Some(&self.object), |id| self.left.get(id))
    }
}

impl Content {
    /// Reads `object`; `each` gets every record with its offset, and tells how many pageviews it counts.
    pub(super) fn read(
        listing: &Listing,
        object: &Found,
        fingerprints: &Fingerprints,
        mut each: impl FnMut(Option<i64>, &Decoded<'_>) -> anyhow::Result<u64>,
    ) -> anyhow::Result<Self> {
        let said = listing.said(object.forgotten.as_deref());
        let known = said.and_then(|said| said.offsets_in(listing.start, listing.end));
        let mut known = known.iter().flat_map(Offsets::iter);
        let (mut hasher, mut is_known, mut next) = (Hasher::default(), true, listing.start);
        let mut content = Self {
            bytes: object.size(),
            records: 0,
            checksum: None,
            stored: object.checksum,
            forgotten: object.forgotten.clone(),
            pageview_count: 0,
            misplaced: None,
            retained: Sum::default(),
        };
        object.for_each(|record| {
            let offset = record.offset.or_else(|| known.next());
            let value = record.value.as_deref();
            match offset {
                Some(offset) => {
                    if offset < next || offset >= listing.end {
                        content.misplaced.get_or_insert(offset);
                    }
                    next = offset + 1;
                    hasher.record(offset, value);
                }
                None => is_known = false,
            }
            if offset.is_none_or(|offset| offset >= listing.retained_from) {
                fingerprints.add(&mut content.retained, offset, value);
            }
            content.records += 1;
            content.pageview_count += each(offset, &record)?;
            Ok(())
        })?;
        content.checksum = is_known.then(|| hasher.finish());
        Ok(content)
    }

    /// In what it differs from what is said of it.
    fn differences(&self, listing: &Listing) -> Vec<String> {
        let Some(said) = listing.said(self.forgotten.as_deref()) else {
            let id = self.forgotten.as_deref().unwrap_or_default();
            return vec![format!("its metadata names {}, which says nothing of it", forgotten::key(id))];
        };
        let Object { records, checksum, pageview_count, .. } = said;
        let mut differences = Vec::new();
        if self.records != *records {
            differences.push(format!("it holds {} records, not {records}", self.records));
        } else if let Some(found) = self.checksum.filter(|found| found != checksum) {
            differences.push(format!("its content is {found}, not {checksum}"));
        }
        if let Some(offset) = self.misplaced {
            differences.push(format!("offset {offset} is not of its range, or out of order"));
        }
        if let Some(count) = pageview_count.filter(|count| *count != self.pageview_count) {
            differences.push(format!("it counts {} pageviews, not {count}", self.pageview_count));
        }
        match self.stored {
            Some(stored) if stored == listing.object.checksum => {}
            Some(stored) => {
                differences
                    .push(format!("its metadata names {stored}, the ledger {}", listing.object.checksum));
            }
            None => differences.push("its metadata names no content".to_owned()),
        }
        differences
    }
}

/// The check, given one object after the other.
#[derive(Debug)]
pub(super) struct ContentCheck {
    check: Check,
    objects: u64,
    records: u64,
    bytes: u64,
    rewritten: u64,
}

impl ContentCheck {
    pub(super) fn new() -> Self {
        let check = Check::new("every object holds what was written");
        Self { check, objects: 0, records: 0, bytes: 0, rewritten: 0 }
    }

    /// Adds what was read of an object.
    pub(super) fn add(&mut self, listing: &Listing, content: &Result<Content, Unread>) {
        match content {
            Ok(content) => {
                let differences = content.differences(listing);
                if !differences.is_empty() {
                    let words = format!("{}: {}", listing.object.key, differences.join("; "));
                    self.check.find(Status::Violated, words);
                } else if content.forgotten.is_none() && !listing.left.is_empty() {
                    let key = &listing.object.key;
                    let words = format!(
                        "{key} holds all that it was written with, and some of it was to be forgotten"
                    );
                    self.check.find(Status::NotProvable, words + ": run `pageviews forget` again");
                }
                self.objects += 1;
                self.records += content.records;
                self.bytes += content.bytes;
                self.rewritten += u64::from(content.forgotten.is_some());
            }
            Err(unread) => self.check.find_unread(&listing.object.key, unread),
        }
    }

    pub(super) fn finish(mut self) -> Check {
        let [objects, records] = [self.objects, self.records].map(HumanCount);
        self.check.compared = format!(
            "{records} records in {objects} objects, {}: bytes by checksum, numbers, sums and metadata",
            HumanBytes(self.bytes)
        );
        if self.rewritten > 0 {
            self.check.compared +=
                &format!("; {} of them as they were left when something was forgotten", self.rewritten);
        }
        self.check.numbers.extend([
            ("objects", self.objects),
            ("records", self.records),
            ("bytes", self.bytes),
            ("rewritten", self.rewritten),
        ]);
        self.check
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::ledger::tests::entry;
    use super::*;

    /// The object of the range `[7, 12)` of `pageview-aggregates/0`, whose records are these.
    pub(in super::super) fn listing(records: &[(i64, &str)], pageview_count: u64) -> Listing {
        let range =
            entry("pageview-aggregates", 7, 12, &[("aggregates/dt=2021-01-26", 0, Some(pageview_count))]);
        let (mut hasher, mut offsets) = (Hasher::default(), Offsets::default());
        for (offset, value) in records {
            hasher.record(*offset, Some(value.as_bytes()));
            offsets.push(*offset);
        }
        let (checksum, records) = (hasher.finish(), records.len() as u64);
        let mut object = range.objects()[0].clone();
        object = Object { records, checksum, offsets: Some(offsets), ..object };
        let key = object.key.replace(".ndjson.gz", ".ndjson");
        Listing {
            kind: Kind::Aggregates,
            partition: 0,
            start: 7,
            end: 12,
            object: Object { key, ..object },
            left: BTreeMap::new(),
            retained_from: 7,
            is_within: true,
        }
    }

    pub(in super::super) fn read(listing: &Listing, lines: &str, fingerprints: &Fingerprints) -> Content {
        let mut found = Found::new(&listing.object.key, lines.to_owned());
        found.checksum = Some(listing.object.checksum);
        Content::read(listing, &found, fingerprints, |_, record| Ok(record.bytes().len() as u64)).unwrap()
    }

    fn findings(listing: &Listing, content: Content) -> Vec<String> {
        let mut check = ContentCheck::new();
        check.add(listing, &Ok(content));
        let check = check.finish();
        assert_eq!(check.status == Status::Ok, check.findings.is_empty());
        check.findings
    }

    const RECORDS: [(i64, &str); 3] = [(7, "a"), (8, "bb"), (11, "ccc")];

    fn found(lines: &str) -> Vec<String> {
        let listing = listing(&RECORDS, 6);
        findings(&listing, read(&listing, lines, &Fingerprints::default()))
    }

    #[test]
    fn what_was_written_is_ok() {
        assert_eq!(found("a\nbb\nccc\n"), [""; 0]);
    }

    #[test]
    fn another_byte_record_or_order_is_found_and_names_the_object() {
        for (lines, words) in [
            ("a\nbb\nccd\n", "its content is sha256:"),
            ("bb\na\nccc\n", "its content is sha256:"),
            ("a\nbb\n", "it holds 2 records, not 3; it counts 3 pageviews, not 6"),
            ("a\nbb\nccc\nccc\n", "it holds 4 records, not 3"),
        ] {
            let findings = found(lines);
            assert_eq!(findings.len(), 1, "{lines:?}");
            assert!(findings[0].starts_with("aggregates/dt=2021-01-26/"), "{findings:?}");
            assert!(findings[0].contains(words), "{findings:?}");
        }
    }

    #[test]
    fn metadata_names_what_was_written_for_ever() {
        let listing = listing(&RECORDS, 6);
        let whole = read(&listing, "a\nbb\nccc\n", &Fingerprints::default());
        let other = Content { stored: Some(Hasher::default().finish()), ..whole.clone() };
        assert!(findings(&listing, other)[0].contains("its metadata names sha256:"));
        let none = Content { stored: None, ..whole };
        assert!(findings(&listing, none)[0].contains("its metadata names no content"));
    }

    #[test]
    fn what_is_left_of_a_rewritten_object_is_what_it_holds() {
        let written = listing(&RECORDS, 6);
        let left = listing(&RECORDS[1..], 5).object;
        let planned = listing(&RECORDS[2..], 3).object;
        let left = BTreeMap::from([("done".to_owned(), left), ("planned".to_owned(), planned)]);
        let listing = Listing { left, ..written };
        let holds = |lines: &str, document: Option<&str>| {
            let mut found = Found::new(&listing.object.key, lines.to_owned());
            (found.checksum, found.forgotten) = (Some(listing.object.checksum), document.map(str::to_owned));
            let count = |_, record: &Decoded<'_>| Ok(record.bytes().len() as u64);
            findings(&listing, Content::read(&listing, &found, &Fingerprints::default(), count).unwrap())
        };
        assert_eq!(holds("bb\nccc\n", Some("done")), [""; 0]);
        assert!(holds("a\nbb\nccc\n", None)[0].contains("run `pageviews forget` again"));
        assert!(
            holds("bb\nccc\n", None)[0].contains("it holds 2 records, not 3"),
            "no document explains that"
        );
        let taken_out = |kind, folder: &str, document: Option<&str>| {
            let object = Object { key: format!("{folder}/x.ndjson"), ..listing.object.clone() };
            let mut content = read(&listing, "bb\nccc\n", &Fingerprints::default());
            content.forgotten = document.map(str::to_owned);
            Listing { kind, object, ..listing.clone() }.taken_out(&content)
        };
        assert_eq!(taken_out(Kind::Raw, "raw", Some("done")), 1);
        assert_eq!(taken_out(Kind::Raw, "raw", None), 0, "what was planned is not out");
        assert_eq!(taken_out(Kind::Raw, "dead-letter/raw", Some("done")), 0, "they were never counted");
        assert!(holds("bb\nccc\n", Some("other"))[0].contains("ledger/forgotten/other.json"));
    }

    #[test]
    fn without_offsets_there_is_no_checksum_and_no_finding() {
        let mut listing = listing(&RECORDS, 6);
        listing.object.offsets = None;
        let content = read(&listing, "a\nbb\nccd\n", &Fingerprints::default());
        assert_eq!((content.checksum, content.retained.unplaced), (None, 3));
        assert_eq!(findings(&listing, content), [""; 0]);
    }

    #[test]
    fn offsets_of_another_range_are_found() {
        let mut listing = listing(&RECORDS, 6);
        listing.end = 11;
        let content = read(&listing, "a\nbb\nccc\n", &Fingerprints::default());
        assert!(findings(&listing, content)[0].contains("offset 11 is not of its range"));
    }

    #[test]
    fn only_what_the_topic_holds_is_compared_with_it() {
        let mut listing = listing(&RECORDS, 6);
        listing.retained_from = 8;
        assert_eq!(read(&listing, "a\nbb\nccc\n", &Fingerprints::default()).retained.records, 2);
    }
}
