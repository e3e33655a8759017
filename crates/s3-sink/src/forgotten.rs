//! What was taken out of the bucket on purpose, and when: the documents below `ledger/forgotten/`, one for each run of
//! `pageviews forget`, each written once and never changed.
//!
//! The events of some users, whose ids are not repeated here:
//! ```json
#![doc = include_str!("../fixtures/forgotten-user.json")]
//! ```
//! A whole day:
//! ```json
#![doc = include_str!("../fixtures/forgotten-day.json")]
//! ```
//! The ledger's entries stay as they are: they say what was written. An object that was rewritten keeps its key and its
//! `content-checksum`, by which the sink knows it, and has the id of the last document in its metadata `forgotten`; what
//! it holds now is what that document says.

use std::collections::BTreeMap;

use model::EpochMillis;
use serde::{Deserialize, Serialize};
use time::Date;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::checksum::Checksum;
use crate::ledger::{Error, VERSION, document, read};
use crate::offsets::Offsets;

/// The key of the document's id in the metadata of an object that was rewritten.
pub const FORGOTTEN: &str = "forgotten";

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// One run of `pageviews forget`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Names it: letters, digits and hyphens.
    pub id: String,
    /// What was to be forgotten.
    pub reason: Reason,
    /// When.
    pub at: EpochMillis,
    /// What it did to which objects, in the order of their keys.
    pub objects: Vec<Change>,
}

/// What was to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The events of users.
    User {
        /// How many.
        user_ids: u64,
    },
    /// Everything of a day.
    Day(Date),
}

/// What was done to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub key: String,
    /// How many records it lost.
    pub records_removed: u64,
    /// What is left of it; `None` if it was deleted.
    pub remains: Option<Remains>,
}

/// What an object holds after it was rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// How many records.
    pub records: u64,
    /// The checksum of their content, with the offsets that they had before.
    pub checksum: Checksum,
    /// Their offsets, where nothing else tells them.
    pub offsets: Option<Offsets>,
}

#[derive(Serialize, Deserialize)]
struct ForgottenDocument {
    version: u32,
    id: String,
    reason: ReasonName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_ids: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    at: i64,
    objects: Vec<ChangeDocument>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReasonName {
    User,
    Day,
}

#[derive(Serialize, Deserialize)]
struct ChangeDocument {
    key: String,
    action: Action,
    records_removed: u64,
    records: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offsets: Option<Offsets>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Deleted,
    Rewritten,
}

/// The prefix of every document: `ledger/forgotten/`.
#[must_use]
pub const fn prefix() -> &'static str {
    "ledger/forgotten/"
}

/// The key of the document `id`: `ledger/forgotten/{id}.json`.
#[must_use]
pub fn key(id: &str) -> String {
    format!("{}{id}.json", prefix())
}

/// The last change to each object, by its key: what a later run left of it is what it holds. What was deleted stays so.
#[must_use]
pub fn last(documents: &[Forgotten]) -> BTreeMap<&str, &Change> {
    let mut documents: Vec<_> = documents.iter().collect();
    documents.sort_by_key(|document| (document.at.0, document.id.as_str()));
    let changes = documents.into_iter().flat_map(|document| &document.objects);
    let mut last = BTreeMap::<_, &Change>::new();
    for change in changes {
        let known = last.entry(change.key.as_str()).or_insert(change);
        if known.remains.is_some() {
            *known = change;
        }
    }
    last
}

impl Forgotten {
    /// The key it is written under.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.id)
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let (reason, user_ids, day) = match self.reason {
            Reason::User { user_ids } => (ReasonName::User, Some(user_ids), None),
            // A date of a four-digit year has no way to fail in this format.
            Reason::Day(day) => (ReasonName::Day, None, Some(day.format(DAY).unwrap_or_default())),
        };
        let (version, id, at) = (VERSION, self.id.clone(), self.at.0);
        let objects = self.objects.iter().map(ChangeDocument::of).collect();
        document(&ForgottenDocument { version, id, reason, user_ids, day, at, objects })
    }

    /// Reads the document that lies under `key`.
    ///
    /// # Errors
    /// [`Error`] when it is no such document, of a later version, or not the one that `key` names.
    pub fn parse(key: &str, json: &[u8]) -> Result<Self, Error> {
        let ForgottenDocument { id, reason, user_ids, day, at, objects, .. } = read(key, json)?;
        let contradiction = |detail: String| Error::Contradiction { key: key.to_owned(), detail };
        let reason = match (reason, user_ids, day) {
            (ReasonName::User, Some(user_ids), None) => Reason::User { user_ids },
            (ReasonName::Day, None, Some(day)) => {
                let wrong = |_| contradiction(format!("{day:?} is no day such as 2026-11-24"));
                Reason::Day(Date::parse(&day, DAY).map_err(wrong)?)
            }
            (ReasonName::User, ..) => return Err(contradiction("it lacks the number of users".to_owned())),
            (ReasonName::Day, ..) => return Err(contradiction("it lacks the day".to_owned())),
        };
        let objects = objects.into_iter().map(|change| change.read().map_err(contradiction));
        let forgotten = Self { id, reason, at: EpochMillis(at), objects: objects.collect::<Result<_, _>>()? };
        if forgotten.key() != key {
            return Err(contradiction(format!("it would lie under {}", forgotten.key())));
        }
        Ok(forgotten)
    }
}

impl ChangeDocument {
    fn of(change: &Change) -> Self {
        let Change { key, records_removed, remains } = change.clone();
        let action = if remains.is_some() { Action::Rewritten } else { Action::Deleted };
        let (records, checksum, offsets) = remains
            .map_or((0, None, None), |remains| (remains.records, Some(remains.checksum), remains.offsets));
        Self { key, action, records_removed, records, checksum, offsets }
    }

    fn read(self) -> Result<Change, String> {
        let Self { key, action, records_removed, records, checksum, offsets } = self;
        let remains = match (action, checksum) {
            (Action::Deleted, _) if records > 0 => {
                return Err(format!("{key} was deleted and holds {records} records"));
            }
            (Action::Deleted, _) => None,
            (Action::Rewritten, Some(checksum)) => Some(Remains { records, checksum, offsets }),
            (Action::Rewritten, None) => return Err(format!("{key} was rewritten and has no checksum")),
        };
        Ok(Change { key, records_removed, remains })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    const USER: &str = include_str!("../fixtures/forgotten-user.json");
    const WHOLE_DAY: &str = include_str!("../fixtures/forgotten-day.json");
    const USER_KEY: &str = "ledger/forgotten/2026-11-25T090000Z-3f9a1c20.json";
    const DAY_KEY: &str = "ledger/forgotten/2026-11-26T090000Z-77b0e4d1.json";

    fn user() -> Forgotten {
        Forgotten::parse(USER_KEY, USER.as_bytes()).unwrap()
    }

    fn day() -> Forgotten {
        Forgotten::parse(DAY_KEY, WHOLE_DAY.as_bytes()).unwrap()
    }

    #[test]
    fn every_document_is_read_and_written_to_the_byte() {
        assert_eq!(String::from_utf8(user().to_json()).unwrap(), USER);
        assert_eq!(String::from_utf8(day().to_json()).unwrap(), WHOLE_DAY);
    }

    #[test]
    fn the_fixtures_say_what_they_say() {
        let [deleted, rewritten] = &user().objects[..] else { panic!("{:?}", user()) };
        assert_eq!((user().reason, deleted.records_removed), (Reason::User { user_ids: 2 }, 1));
        assert_eq!(deleted.remains, None);
        let remains = rewritten.remains.as_ref().unwrap();
        let offsets = remains.offsets.as_ref().unwrap();
        assert_eq!((remains.records, offsets.count()), (644, 644));
        assert_eq!(day().reason, Reason::Day(date!(2026 - 11 - 24)));
    }

    #[test]
    fn what_was_done_last_to_an_object_counts() {
        let (user, day) = (user(), day());
        let key = user.objects[1].key.as_str();
        for documents in [[user.clone(), day.clone()], [day.clone(), user.clone()]] {
            let last = last(&documents);
            assert_eq!((last.len(), &last[key].remains), (2, &None), "the day was deleted after the users");
        }
        assert!(last(std::slice::from_ref(&user))[key].remains.is_some());
    }

    #[test]
    fn what_was_deleted_is_not_there_again_by_a_later_document() {
        let (mut user, day) = (user(), day());
        user.at = EpochMillis(day.at.0 + 1);
        let key = user.objects[1].key.clone();
        assert_eq!(last(&[user, day])[key.as_str()].remains, None);
    }

    #[test]
    fn a_document_that_contradicts_itself_or_its_name_is_refused() {
        for (from, to) in [
            (r#""id": "2026"#, r#""id": "2027"#),
            (r#""user_ids": 2,"#, r#""day": "2026-11-24","#),
            (r#""reason": "user""#, r#""reason": "day""#),
            (r#""action": "rewritten""#, r#""action": "deleted""#),
            (r#""action": "deleted""#, r#""action": "rewritten""#),
        ] {
            let wrong = USER.replace(from, to);
            assert_ne!(wrong, USER, "{from}");
            let parsed = Forgotten::parse(USER_KEY, wrong.as_bytes());
            assert!(matches!(parsed, Err(Error::Contradiction { .. })), "{to}: {parsed:?}");
        }
        let no_day = WHOLE_DAY.replace("2026-11-24\",", "someday\",");
        assert!(Forgotten::parse(DAY_KEY, no_day.as_bytes()).is_err());
        let later = USER.replace(r#""version": 1"#, r#""version": 2"#);
        let parsed = Forgotten::parse(USER_KEY, later.as_bytes());
        assert!(matches!(parsed, Err(Error::UnknownVersion { version: 2, .. })));
    }
}
