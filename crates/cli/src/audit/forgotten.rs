//! What was taken out of the bucket on purpose, as `pageviews forget` has written it down: no audit takes it for lost.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::HumanCount;
use s3_sink::forgotten::{Change, Forgotten, Remains, last};
use s3_sink::ledger::{Error, Object};

use super::check::{Check, Status};

/// The last change to every object that something was taken out of.
#[derive(Debug, Clone, Default)]
pub(super) struct Register {
    changes: BTreeMap<String, Change>,
    /// What each document says is left of an object: the object itself names the one that holds.
    left: BTreeMap<String, Vec<(String, Remains)>>,
    runs: u64,
    records: u64,
    unusable: Vec<(Status, String)>,
}

impl Register {
    /// Puts `documents` together, given as their keys and what lies there.
    pub(super) fn of<T: AsRef<[u8]>>(documents: impl IntoIterator<Item = (String, T)>) -> Self {
        let (mut read, mut unusable) = (Vec::new(), Vec::new());
        for (key, json) in documents {
            match Forgotten::parse(&key, json.as_ref()) {
                Ok(document) => read.push(document),
                Err(error @ Error::UnknownVersion { .. }) => {
                    unusable.push((Status::NotProvable, error.to_string()));
                }
                Err(error) => unusable.push((Status::Violated, error.to_string())),
            }
        }
        let records =
            read.iter().flat_map(|document| &document.objects).map(|change| change.records_removed).sum();
        let changes = last(&read).into_iter().map(|(key, change)| (key.to_owned(), change.clone())).collect();
        let mut left = BTreeMap::<_, Vec<_>>::new();
        for document in &read {
            for change in &document.objects {
                let remains = change.remains.iter().map(|remains| (document.id.clone(), remains.clone()));
                left.entry(change.key.clone()).or_default().extend(remains);
            }
        }
        Self { changes, left, runs: read.len() as u64, records, unusable }
    }

    /// How many records were taken out of all objects.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// Whether an object was deleted on purpose.
    pub(super) fn is_deleted(&self, key: &str) -> bool {
        self.changes.get(key).is_some_and(|change| change.remains.is_none())
    }

    /// Whether something was taken out of an object, or all of it.
    pub(super) fn is_changed(&self, key: &str) -> bool {
        self.changes.contains_key(key)
    }

    /// The keys of the objects that were deleted.
    pub(super) fn deleted(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().filter(|(_, change)| change.remains.is_none()).map(|(key, _)| key.as_str())
    }

    /// What was left of an object of the ledger whenever something was forgotten, by the document that says so.
    pub(super) fn left(&self, object: &Object) -> BTreeMap<String, Object> {
        let left = self.left.get(&object.key).into_iter().flatten();
        left.map(|(id, remains)| (id.clone(), rest_of(object, remains))).collect()
    }
}

fn rest_of(object: &Object, remains: &Remains) -> Object {
    Object {
        key: object.key.clone(),
        records: remains.records,
        checksum: remains.checksum,
        pageview_count: None,
        offsets: remains.offsets.clone(),
    }
}

/// Whether what was forgotten is gone from the bucket, whose objects are `keys`. `None` if nothing ever was.
pub(super) fn check(register: &Register, keys: &BTreeSet<String>) -> Option<Check> {
    let mut check = Check::new("what was forgotten is gone");
    for (status, words) in &register.unusable {
        check.find(*status, words);
    }
    for key in register.deleted().filter(|key| keys.contains(*key)) {
        let words =
            format!("{key} is still there: the deletion was interrupted, run `pageviews forget` again");
        check.find(Status::NotProvable, words);
    }
    let (deleted, all) = (register.deleted().count() as u64, register.changes.len() as u64);
    let [runs, deleted, rewritten, records] =
        [register.runs, deleted, all - deleted, register.records].map(HumanCount);
    check.compared = format!(
        "{records} records forgotten on purpose in {runs} runs: {deleted} objects deleted, {rewritten} rewritten"
    );
    check.numbers.extend([
        ("runs", runs.0),
        ("deleted", deleted.0),
        ("rewritten", rewritten.0),
        ("records", records.0),
    ]);
    (register.runs > 0 || !register.unusable.is_empty()).then_some(check)
}

#[cfg(test)]
pub(super) mod tests {
    use model::EpochMillis;
    use s3_sink::checksum::Hasher;
    use s3_sink::forgotten::Reason;

    use super::super::ledger::tests::entry;
    use super::*;

    fn register(key: &str, remains: Option<Remains>) -> Register {
        let objects = vec![Change { key: key.to_owned(), records_removed: 3, remains }];
        let reason = Reason::User { user_ids: 1 };
        let document = Forgotten { id: "a".to_owned(), reason, at: EpochMillis(1), objects };
        Register::of([(document.key(), document.to_json())])
    }

    /// A register in which one object was deleted, with three records.
    pub(in crate::audit) fn deleted(key: &str) -> Register {
        register(key, None)
    }

    /// A register in which one object was rewritten, and holds this many records now, of no content.
    pub(in crate::audit) fn rewritten(key: &str, records: u64) -> Register {
        register(key, Some(Remains { records, checksum: Hasher::default().finish(), offsets: None }))
    }

    #[test]
    fn nothing_forgotten_is_no_check() {
        assert_eq!(check(&Register::default(), &BTreeSet::new()), None);
    }

    #[test]
    fn what_was_deleted_is_gone_and_what_was_rewritten_is_something_else() {
        let range = entry("pageviews", 0, 9, &[("raw/dt=2026-11-24/hour=13", 9, None)]);
        let object = &range.objects()[0];
        let (deleted, rewritten) = (deleted(&object.key), rewritten(&object.key, 6));
        assert!(deleted.is_deleted(&object.key) && !rewritten.is_deleted(&object.key));
        assert!(deleted.is_changed(&object.key) && rewritten.is_changed(&object.key));
        assert!(deleted.left(object).is_empty());
        assert_eq!(rewritten.left(object)["a"].records, 6);
        let none = BTreeSet::new();
        let gone = check(&deleted, &none).unwrap();
        assert_eq!(
            (gone.status, gone.compared.as_str()),
            (Status::Ok, "3 records forgotten on purpose in 1 runs: 1 objects deleted, 0 rewritten")
        );
        let left: BTreeSet<_> = [object.key.clone()].into();
        assert_eq!(check(&deleted, &left).unwrap().status, Status::NotProvable);
        assert_eq!(check(&rewritten, &left).unwrap().status, Status::Ok);
    }

    #[test]
    fn a_document_that_cannot_be_read_is_told() {
        for (json, status) in [("{", Status::Violated), (r#"{"version":2}"#, Status::NotProvable)] {
            let register = Register::of([("ledger/forgotten/a.json".to_owned(), json)]);
            assert_eq!(check(&register, &BTreeSet::new()).unwrap().status, status);
        }
    }
}
