//! Which objects may hold what is to be forgotten, and which of them have to wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use s3_sink::Kind;
use s3_sink::forgotten::{self, Forgotten};
use s3_sink::object_name;
use s3_sink::offsets::Offsets;
use time::Date;

use super::users::Users;
use crate::audit::survey::Survey;

/// Where persons' data lies. Counts hold none.
const FOLDERS: [(Kind, &str); 3] =
    [(Kind::Raw, "raw"), (Kind::Raw, "dead-letter/raw"), (Kind::DeadLetters, "dead-letter/topic")];

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Users(Users),
    Day(Date),
}

/// What has to be looked at, or deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Objects that the sink will not write again.
    pub(super) objects: Vec<Candidate>,
    /// Those that it may write again after a crash: they have to wait until it has committed their range.
    pub(super) later: Vec<String>,
    /// Those that no range lists: they are beyond the ledger, or somebody else's.
    pub(super) unlisted: Vec<String>,
}

/// An object as the sink wrote it, or as an earlier run has left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) key: String,
    pub(super) records: u64,
    /// The offsets of the records that the sink wrote, where the ledger tells.
    pub(super) written: Option<Offsets>,
}

impl Target {
    pub(super) fn reason(&self) -> forgotten::Reason {
        match self {
            Self::Users(users) => forgotten::Reason::User { user_ids: users.len() as u64 },
            Self::Day(day) => forgotten::Reason::Day(*day),
        }
    }

    /// The folder below `folder` that concerns it.
    fn inside(&self, folder: &str) -> String {
        match self {
            Self::Users(_) => folder.to_owned(),
            Self::Day(day) => format!("{folder}/{}", object_name::day(*day)),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(users) if users.len() == 1 => write!(f, "the events of 1 user"),
            Self::Users(users) => write!(f, "the events of {} users", users.len()),
            Self::Day(day) => write!(f, "everything under the day {day}"),
        }
    }
}

impl Plan {
    /// What of `survey` has to be looked at for `target`, after what earlier runs have done.
    pub(super) fn of(survey: &Survey, earlier: &[Forgotten], target: &Target) -> Self {
        let (mut plan, mut listed) = (Self::default(), BTreeSet::new());
        let last = forgotten::last(earlier);
        for (kind, folder) in FOLDERS {
            let inside = target.inside(folder);
            for (entry, object) in survey.listed(kind, &inside) {
                listed.insert(object.key.as_str());
                // A rewritten object is still the sink's; a deleted one it would write again if the commit that says that it
                // was written is lost.
                let is_safe = match target {
                    Target::Users(_) => survey.is_completed(kind, entry),
                    Target::Day(_) => !survey.is_newest(kind, entry),
                };
                if !is_safe {
                    plan.later.push(object.key.clone());
                } else if survey.objects.contains_key(&object.key) {
                    let remains = last.get(object.key.as_str()).and_then(|change| change.remains.as_ref());
                    plan.objects.push(Candidate {
                        key: object.key.clone(),
                        records: remains.map_or(object.records, |remains| remains.records),
                        written: object.offsets_in(entry.start, entry.end),
                    });
                }
            }
            let prefix = format!("{inside}/");
            let keys = survey.objects.range(prefix.clone()..).map(|(key, _)| key);
            let keys = keys.take_while(|key| key.starts_with(&prefix));
            plan.unlisted.extend(keys.filter(|key| !listed.contains(key.as_str())).cloned());
        }
        plan
    }

    /// How many objects of each folder there are to be looked at.
    pub(super) fn folders(&self) -> BTreeMap<&str, usize> {
        let mut folders = BTreeMap::new();
        for Candidate { key, .. } in &self.objects {
            let folder = key.split_once("/dt=").map_or("", |(folder, _)| folder);
            *folders.entry(folder).or_default() += 1;
        }
        folders
    }
}

#[cfg(test)]
mod tests {
    use model::EpochMillis;
    use s3_sink::checksum::Hasher;
    use s3_sink::forgotten::{Change, Reason, Remains};
    use s3_sink::hint::Hint;
    use s3_sink::ledger::{Content, Entry, Object, Recipe, Written};
    use s3_sink::tiles::PartitionLedger;
    use time::macros::date;

    use super::*;

    fn range(topic: &str, start: i64, end: i64, folders: &[&str]) -> Entry {
        let object = |folder: &&str| Object {
            key: format!("{folder}/{topic}-p00000-o{start:020}-{end:020}.ndjson.gz"),
            records: end.abs_diff(start),
            checksum: Hasher::default().finish(),
            pageview_count: None,
            offsets: None,
        };
        let written = Written {
            recipe: Recipe { format: "ndjson.gz".to_owned(), layout: 1, rules: 1 },
            records: end.abs_diff(start),
            first_timestamp: EpochMillis(0),
            last_timestamp: EpochMillis(0),
            objects: folders.iter().map(object).collect(),
        };
        Entry { topic: topic.to_owned(), partition: 0, start, end, content: Content::Written(written) }
    }

    const FIRST: &str = "raw/dt=2026-11-24/hour=23";
    const SECOND: &str = "raw/dt=2026-11-25/hour=00";

    fn survey(hint: Option<i64>) -> Survey {
        let entries = vec![range("pageviews", 0, 5, &[FIRST]), range("pageviews", 5, 9, &[SECOND])];
        let keys = entries.iter().flat_map(Entry::objects).map(|object| (object.key.clone(), 1)).collect();
        let ledger = PartitionLedger { genesis: None, entries };
        Survey {
            partitions: [((Kind::Raw, 0), ledger)].into(),
            hints: hint.map(|ledger| ((Kind::Raw, 0), Hint { committed: 9, ledger })).into_iter().collect(),
            objects: keys,
            ..Survey::default()
        }
    }

    fn users() -> Target {
        Target::Users([1].into_iter().collect())
    }

    fn planned(survey: &Survey, target: &Target) -> (Vec<String>, Vec<String>) {
        let plan = Plan::of(survey, &[], target);
        (plan.objects.into_iter().map(|object| object.key).collect(), plan.later)
    }

    #[test]
    fn the_last_range_waits_until_its_sink_has_committed_it() {
        for (hint, objects, later) in [(None, 1, 1), (Some(0), 1, 1), (Some(5), 2, 0)] {
            let (found, waiting) = planned(&survey(hint), &users());
            assert_eq!((found.len(), waiting.len()), (objects, later), "{hint:?}");
        }
    }

    #[test]
    fn a_day_is_its_folders_only() {
        let (found, later) = planned(&survey(Some(5)), &Target::Day(date!(2026 - 11 - 24)));
        assert!(found.len() == 1 && found[0].starts_with(FIRST) && later.is_empty(), "{found:?}");
        assert_eq!(planned(&survey(Some(5)), &Target::Day(date!(2026 - 11 - 2))), (vec![], vec![]));
    }

    #[test]
    fn the_newest_range_of_a_day_waits_for_another_also_if_it_is_committed() {
        for hint in [None, Some(5)] {
            let (found, later) = planned(&survey(hint), &Target::Day(date!(2026 - 11 - 25)));
            assert!(
                found.is_empty() && later.len() == 1 && later[0].starts_with(SECOND),
                "{found:?} {later:?}"
            );
        }
    }

    #[test]
    fn what_is_gone_is_left_out_and_what_nobody_lists_is_told() {
        let mut survey = survey(Some(5));
        let (gone, _) = survey.objects.pop_first().unwrap();
        survey.objects.insert("raw/notes.txt".to_owned(), 1);
        survey.objects.insert("aggregates/notes.txt".to_owned(), 1);
        let plan = Plan::of(&survey, &[], &users());
        assert!(plan.objects.len() == 1 && plan.objects[0].key != gone);
        assert_eq!(plan.unlisted, ["raw/notes.txt"]);
        assert_eq!(plan.folders(), [("raw", 1)].into());
    }

    #[test]
    fn an_earlier_run_has_left_less() {
        let survey = survey(Some(5));
        let key = survey.objects.keys().next().unwrap().clone();
        let remains = Remains { records: 2, checksum: Hasher::default().finish(), offsets: None };
        let earlier = Forgotten {
            id: "a".to_owned(),
            reason: Reason::User { user_ids: 1 },
            at: EpochMillis(0),
            objects: vec![Change { key, records_removed: 3, remains: Some(remains) }],
        };
        let plan = Plan::of(&survey, &[earlier], &users());
        assert_eq!(plan.objects.iter().map(|object| object.records).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(plan.objects[0].written, Some(Offsets::run(0, 5)));
    }
}
