//! The objects that are in the bucket, held against those that the ledger lists.

use std::collections::{BTreeMap, BTreeSet};

use s3_sink::ledger::{Entry, Object};
use s3_sink::object_name::ObjectName;

use super::check::{Check, Status};
use super::forgotten::Register;
use super::ledger::TopicLedger;
use super::quiet::Progress;

/// The folders that belong to the sink.
pub(super) const FOLDERS: [&str; 4] = ["raw/", "aggregates/", "late/", "dead-letter/"];

/// Why an object that the ledger lists is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// The last range of its partition is fixed, and its objects are on their way.
    InFlight,
    /// Its range was completed, so it was there once; or nobody could write it any more.
    Gone,
}

/// Why an object is there that the ledger does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unlisted {
    /// It has no name of a sink's object.
    Foreign,
    /// It lies beyond the ledger. The ledger was read before the objects were listed: its range was fixed in between,
    /// and the next look will show the entry. Or its entry is lost, and every look shows the same.
    Beyond,
    /// Its offsets belong to other ranges, or to no topic of this pipeline.
    Orphan,
}

/// How many objects listed by the last ranges are not there yet, or are there and not listed yet.
pub(super) fn in_flight(
    ledgers: &[TopicLedger],
    progress: &Progress,
    keys: &BTreeSet<String>,
    register: &Register,
) -> usize {
    let missing = ledgers.iter().flat_map(|ledger| missing(ledger, progress, keys, register));
    let missing = missing.filter(|(_, why)| *why == Missing::InFlight).count();
    missing + unlisted(ledgers, keys).iter().filter(|(_, why)| *why == Unlisted::Beyond).count()
}

fn unlisted<'a>(ledgers: &[TopicLedger], keys: &'a BTreeSet<String>) -> Vec<(&'a str, Unlisted)> {
    let objects = ledgers.iter().flat_map(TopicLedger::entries).flat_map(Entry::objects);
    let listed: BTreeSet<_> = objects.map(|object| object.key.as_str()).collect();
    let by_topic: BTreeMap<_, _> = ledgers.iter().map(|ledger| (ledger.topic.as_str(), ledger)).collect();
    let why = |key: &str| {
        let Ok(name) = key.parse::<ObjectName>() else { return Unlisted::Foreign };
        match by_topic.get(name.topic.as_str()).map(|ledger| ledger.frontier(name.partition)) {
            Some(frontier) if name.start >= frontier.unwrap_or(0) => Unlisted::Beyond,
            _ => Unlisted::Orphan,
        }
    };
    let keys = keys.iter().map(String::as_str).filter(|key| !listed.contains(key));
    keys.map(|key| (key, why(key))).collect()
}

fn missing<'a>(
    ledger: &'a TopicLedger,
    progress: &Progress,
    keys: &BTreeSet<String>,
    register: &Register,
) -> impl Iterator<Item = (&'a Object, Missing)> {
    ledger.entries().flat_map(move |entry| {
        // The next range is fixed only after the last one's objects were written, and an offset is committed after
        // them too.
        let is_last = ledger.frontier(entry.partition) == Some(entry.end);
        let is_committed = progress.committed(ledger.kind, entry.partition) >= Some(entry.end);
        let why = if is_last && !is_committed { Missing::InFlight } else { Missing::Gone };
        let is_missing = |object: &&Object| !keys.contains(&object.key) && !register.is_deleted(&object.key);
        entry.objects().iter().filter(is_missing).map(move |object| (object, why))
    })
}

/// Whether every object that is listed is there, or was forgotten on purpose.
pub(super) fn check_listed(
    ledgers: &[TopicLedger],
    progress: &Progress,
    keys: &BTreeSet<String>,
    register: &Register,
) -> Check {
    let mut check = Check::new("every object listed is there");
    let mut listed = 0;
    for ledger in ledgers {
        listed += ledger.entries().map(|entry| entry.objects().len()).sum::<usize>();
        for (Object { key, records, .. }, why) in missing(ledger, progress, keys, register) {
            let words = match why {
                Missing::InFlight => "is not there yet: its range is being written",
                Missing::Gone => {
                    "is gone: deleted, on purpose or not, or dropped by the log before it was written"
                }
            };
            check.find(Status::NotProvable, format!("{key} ({records} records) {words}"));
        }
        for entry in ledger.entries() {
            for object in entry.objects().iter().filter(|object| !is_of(object, entry)) {
                let words = format!("{} lists {}, which is named for another range", entry.key(), object.key);
                check.find(Status::Violated, words);
            }
        }
    }
    check.compared = format!("{listed} objects listed, {} in the bucket", keys.len());
    let forgotten = register.deleted().filter(|key| !keys.contains(*key)).count();
    if forgotten > 0 {
        check.compared += &format!(", {forgotten} forgotten on purpose");
    }
    check.numbers.insert("forgotten", forgotten as u64);
    check.numbers.insert("listed", listed as u64);
    check.numbers.insert("in_bucket", keys.len() as u64);
    check
}

fn is_of(object: &Object, entry: &Entry) -> bool {
    object.key.parse::<ObjectName>().is_ok_and(|name| {
        (&name.topic, name.partition, name.start, name.end)
            == (&entry.topic, entry.partition, entry.start, entry.end)
    })
}

/// Whether there is no object that no range lists.
pub(super) fn check_unlisted(ledgers: &[TopicLedger], keys: &BTreeSet<String>) -> Check {
    let mut check = Check::new("no object without an entry");
    for (key, why) in unlisted(ledgers, keys) {
        let (status, words) = match why {
            Unlisted::Foreign => (Status::Violated, "was not written by the sink: move it elsewhere"),
            Unlisted::Beyond => {
                (Status::NotProvable, "lies beyond the ledger: its entry came meanwhile, or is lost")
            }
            Unlisted::Orphan => (Status::Violated, "is listed by no entry: its records may be there twice"),
        };
        check.find(status, format!("{key} {words}"));
    }
    let objects = ledgers.iter().flat_map(TopicLedger::entries).flat_map(Entry::objects);
    let mut listed = BTreeMap::<_, u32>::new();
    objects.for_each(|object| *listed.entry(object.key.as_str()).or_default() += 1);
    for (key, times) in listed.iter().filter(|(_, times)| **times > 1) {
        check.find(Status::Violated, format!("{key} is listed by {times} entries"));
    }
    check.compared = format!("{} objects in {}", keys.len(), FOLDERS.join(", "));
    check
}

#[cfg(test)]
mod tests {
    use s3_sink::Kind;

    use super::super::forgotten::tests::deleted;
    use super::super::ledger::tests::{entry, ledger};
    use super::*;

    fn range(start: i64, end: i64) -> Entry {
        entry("pageviews", start, end, &[("raw/dt=2026-11-24/hour=13", 1, None)])
    }

    fn ledgers() -> [TopicLedger; 1] {
        [ledger(Kind::Raw, "pageviews", &[range(0, 5), range(5, 9)])]
    }

    fn keys(entries: &[Entry]) -> BTreeSet<String> {
        entries.iter().flat_map(|entry| entry.objects().iter().map(|object| object.key.clone())).collect()
    }

    fn none() -> Register {
        Register::default()
    }

    fn committed(offset: Option<i64>) -> Progress {
        let mut progress = Progress::default();
        progress.committed.extend(offset.map(|offset| ((Kind::Raw, 0), offset)));
        progress
    }

    #[test]
    fn what_is_listed_and_what_is_there_are_the_same() {
        let keys = keys(&[range(0, 5), range(5, 9)]);
        assert_eq!(check_listed(&ledgers(), &committed(None), &keys, &none()).status, Status::Ok);
        assert_eq!(check_unlisted(&ledgers(), &keys).status, Status::Ok);
    }

    #[test]
    fn a_missing_object_of_the_last_range_may_be_on_its_way() {
        let keys = keys(&[range(0, 5)]);
        for (offset, words) in [(None, "not there yet"), (Some(8), "not there yet"), (Some(9), "is gone")] {
            let check = check_listed(&ledgers(), &committed(offset), &keys, &none());
            assert_eq!(check.status, Status::NotProvable);
            assert!(check.findings[0].contains(words), "{offset:?} {:?}", check.findings);
        }
        assert_eq!(in_flight(&ledgers(), &committed(Some(8)), &keys, &none()), 1);
        assert_eq!(in_flight(&ledgers(), &committed(Some(9)), &keys, &none()), 0);
    }

    #[test]
    fn a_missing_object_of_an_earlier_range_was_there_once() {
        let check = check_listed(&ledgers(), &committed(None), &keys(&[range(5, 9)]), &none());
        assert!(check.findings[0].contains("is gone"), "{:?}", check.findings);
    }

    #[test]
    fn what_was_forgotten_on_purpose_is_neither_gone_nor_on_its_way() {
        let keys = keys(&[range(0, 5)]);
        let register = deleted(&range(5, 9).objects()[0].key);
        for offset in [None, Some(9)] {
            let check = check_listed(&ledgers(), &committed(offset), &keys, &register);
            assert_eq!((check.status, check.numbers["forgotten"]), (Status::Ok, 1), "{:?}", check.findings);
        }
        assert_eq!(in_flight(&ledgers(), &committed(None), &keys, &register), 0);
    }

    #[test]
    fn an_object_below_the_frontier_without_an_entry_is_a_violation() {
        let orphan = keys(&[range(0, 5), range(5, 9), range(3, 7)]);
        assert_eq!(check_unlisted(&ledgers(), &orphan).status, Status::Violated);
        let mut foreign = keys(&[range(0, 5), range(5, 9)]);
        foreign.insert("raw/notes.txt".to_owned());
        assert_eq!(check_unlisted(&ledgers(), &foreign).status, Status::Violated);
    }

    #[test]
    fn an_object_beyond_the_frontier_is_looked_at_again_and_never_ok() {
        let beyond = keys(&[range(0, 5), range(5, 9), range(9, 12)]);
        assert_eq!(in_flight(&ledgers(), &committed(Some(9)), &beyond, &none()), 1);
        let check = check_unlisted(&ledgers(), &beyond);
        assert_eq!((check.status, check.findings.len()), (Status::NotProvable, 1));
        let gone = [TopicLedger::of(Kind::Raw, "pageviews", [])];
        assert_eq!(check_unlisted(&gone, &beyond).findings.len(), 3);
    }

    #[test]
    fn an_object_has_the_name_of_its_range_and_one_entry() {
        let mut wrong = range(5, 9);
        if let s3_sink::ledger::Content::Written(written) = &mut wrong.content {
            written.objects = range(0, 5).objects().to_vec();
        }
        let ledgers = [ledger(Kind::Raw, "pageviews", &[range(0, 5), wrong])];
        let keys = keys(&[range(0, 5)]);
        assert_eq!(check_listed(&ledgers, &committed(None), &keys, &none()).status, Status::Violated);
        assert_eq!(check_unlisted(&ledgers, &keys).status, Status::Violated);
    }
}
