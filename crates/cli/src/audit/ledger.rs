//! The ledger of one topic, put together from its documents.

use std::collections::BTreeMap;

use s3_sink::Kind;
use s3_sink::ledger::{Content, Entry, Error, Genesis, Object, Origin};
use s3_sink::object_name::{self, LedgerKeys};
use s3_sink::tiles::PartitionLedger;

use super::check::{Check, Status};

/// One document below `ledger/{topic}/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Document {
    Entry(Entry),
    Genesis(Genesis),
    Origin(Origin),
    /// It cannot be used, and whether that is because a later release wrote it.
    Unusable {
        words: String,
        later_release: bool,
    },
}

/// Everything that the ledger says of a topic.
#[derive(Debug, Clone)]
pub(super) struct TopicLedger {
    pub(super) kind: Kind,
    pub(super) topic: String,
    pub(super) origin: Option<Origin>,
    pub(super) partitions: BTreeMap<i32, PartitionLedger>,
    unusable: Vec<(String, bool)>,
}

impl Document {
    /// Reads the document under `key` of `topic`'s ledger.
    pub(super) fn parse(topic: &str, key: &str, json: &[u8]) -> Self {
        let document = match LedgerKeys::of_key(topic, key) {
            None if key == object_name::origin(topic) => Origin::parse(key, json).map(Self::Origin),
            Some(keys) if key == keys.genesis() => Genesis::parse(key, json).map(Self::Genesis),
            Some(keys) if keys.start_of(key).is_some() => Entry::parse(key, json).map(Self::Entry),
            _ => {
                return Self::Unusable {
                    words: format!("{key} is no document of a ledger"),
                    later_release: false,
                };
            }
        };
        document.unwrap_or_else(|error| Self::Unusable {
            words: error.to_string(),
            later_release: matches!(error, Error::UnknownVersion { .. }),
        })
    }
}

impl TopicLedger {
    /// Puts `documents` together, given in the order of their keys: that is the order of offsets.
    pub(super) fn of<'a>(kind: Kind, topic: &str, documents: impl IntoIterator<Item = &'a Document>) -> Self {
        let topic = topic.to_owned();
        let mut ledger =
            Self { kind, topic, origin: None, partitions: BTreeMap::new(), unusable: Vec::new() };
        for document in documents {
            match document {
                Document::Origin(origin) => ledger.origin = Some(origin.clone()),
                Document::Genesis(genesis) => {
                    ledger.partition(genesis.partition).genesis = Some(genesis.clone())
                }
                Document::Entry(entry) => ledger.partition(entry.partition).entries.push(entry.clone()),
                Document::Unusable { words, later_release } => {
                    ledger.unusable.push((words.clone(), *later_release));
                }
            }
        }
        ledger
    }

    fn partition(&mut self, partition: i32) -> &mut PartitionLedger {
        let empty = || PartitionLedger { genesis: None, entries: Vec::new() };
        self.partitions.entry(partition).or_insert_with(empty)
    }

    /// Every range fixed.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.partitions.values().flat_map(|partition| &partition.entries)
    }

    /// The objects below `folder`.
    pub(super) fn objects_in(&self, folder: &str) -> impl Iterator<Item = &Object> {
        let inside =
            move |object: &&Object| object.key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        self.entries().flat_map(Entry::objects).filter(inside)
    }

    /// The next offset to be written of `partition`; `None` if no sink was ever assigned it.
    pub(super) fn frontier(&self, partition: i32) -> Option<i64> {
        self.partitions.get(&partition).and_then(PartitionLedger::frontier)
    }
}

/// Whether the entries tile every partition from its genesis to its frontier, and nothing in them was lost.
pub(super) fn check(ledgers: &[TopicLedger]) -> Check {
    let mut check = Check::new("the ledger tiles every partition");
    for ledger in ledgers {
        for (words, later_release) in &ledger.unusable {
            check.find(if *later_release { Status::NotProvable } else { Status::Violated }, words);
        }
        for (partition, tiles) in &ledger.partitions {
            for fault in tiles.faults() {
                check.find(Status::Violated, format!("{}/{partition}: {fault}", ledger.topic));
            }
        }
        for Entry { topic, partition, start, end, .. } in
            ledger.entries().filter(|entry| entry.content == Content::Lost)
        {
            let words = format!(
                "{topic}/{partition}: [{start}, {end}) was lost: the log dropped it before it was written"
            );
            check.find(Status::Violated, words);
        }
    }
    let partitions: usize = ledgers.iter().map(|ledger| ledger.partitions.len()).sum();
    let entries: usize = ledgers.iter().map(|ledger| ledger.entries().count()).sum();
    check.compared = format!("{entries} ranges of {partitions} partitions, from genesis to frontier");
    check.numbers.insert("partitions", partitions as u64);
    check.numbers.insert("entries", entries as u64);
    check
}

#[cfg(test)]
pub(super) mod tests {
    use model::EpochMillis;
    use s3_sink::checksum::Hasher;
    use s3_sink::ledger::{Recipe, Written};

    use super::*;

    /// A range of `pageviews/0` or another topic, whose objects are given as key prefix, records and count.
    pub(in crate::audit) fn entry(
        topic: &str,
        start: i64,
        end: i64,
        objects: &[(&str, u64, Option<u64>)],
    ) -> Entry {
        let object = |&(folder, records, pageview_count): &(&str, u64, Option<u64>)| Object {
            key: format!("{folder}/{topic}-p00000-o{start:020}-{end:020}.ndjson.gz"),
            records,
            checksum: Hasher::default().finish(),
            pageview_count,
            offsets: None,
        };
        let written = Written {
            recipe: Recipe { format: "ndjson.gz".to_owned(), layout: 1, rules: 1 },
            records: objects.iter().map(|(_, records, _)| records).sum(),
            first_timestamp: EpochMillis(0),
            last_timestamp: EpochMillis(0),
            objects: objects.iter().map(object).collect(),
        };
        Entry { topic: topic.to_owned(), partition: 0, start, end, content: Content::Written(written) }
    }

    pub(in crate::audit) fn ledger(kind: Kind, topic: &str, entries: &[Entry]) -> TopicLedger {
        let genesis = Document::Genesis(Genesis { topic: topic.to_owned(), partition: 0, start: 0 });
        let entries: Vec<_> = entries.iter().cloned().map(Document::Entry).collect();
        TopicLedger::of(kind, topic, entries.iter().chain([&genesis]))
    }

    fn raw(start: i64, end: i64) -> Entry {
        entry("pageviews", start, end, &[("raw/dt=2026-11-24/hour=13", 1, None)])
    }

    fn findings(entries: &[Entry]) -> (Status, Vec<String>) {
        let check = check(&[ledger(Kind::Raw, "pageviews", entries)]);
        (check.status, check.findings)
    }

    #[test]
    fn tiled_is_ok() {
        assert_eq!(findings(&[raw(0, 5), raw(5, 9)]), (Status::Ok, vec![]));
        assert_eq!(findings(&[]), (Status::Ok, vec![]));
    }

    #[test]
    fn holes_and_overlaps_are_violations() {
        let hole = findings(&[raw(0, 5), raw(6, 9)]);
        assert_eq!(hole, (Status::Violated, vec!["pageviews/0: no entry covers [5, 6)".to_owned()]));
        let overlap = findings(&[raw(0, 5), raw(4, 9)]);
        assert_eq!(overlap, (Status::Violated, vec!["pageviews/0: two entries cover [4, 5)".to_owned()]));
    }

    #[test]
    fn a_lost_range_tiles_but_is_a_violation() {
        let lost = Entry { content: Content::Lost, ..raw(5, 9) };
        let (status, findings) = findings(&[raw(0, 5), lost]);
        assert_eq!(status, Status::Violated);
        assert!(findings[0].starts_with("pageviews/0: [5, 9) was lost"), "{findings:?}");
    }

    #[test]
    fn every_document_is_read_as_what_its_key_says() {
        let parsed = |key: &str, json: &[u8]| Document::parse("pageviews", key, json);
        let range = raw(0, 5);
        assert_eq!(parsed(&range.key(), &range.to_json()), Document::Entry(range.clone()));
        assert!(matches!(parsed("ledger/pageviews/p00000/notes.txt", b""), Document::Unusable { .. }));
        assert!(matches!(parsed(&raw(1, 5).key(), &range.to_json()), Document::Unusable { .. }));
        let later = br#"{"version":2}"#;
        let (status, _) = {
            let document = parsed(&range.key(), later);
            let check = check(&[TopicLedger::of(Kind::Raw, "pageviews", [&document])]);
            (check.status, check.findings)
        };
        assert_eq!(status, Status::NotProvable, "a later release is no violation");
    }
}
