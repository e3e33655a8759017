//! Whether the ledger speaks of these topics: a topic that was deleted and made again has other records under the same
//! offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use s3_sink::ledger::Origin;
use s3_sink::object_name::ObjectName;

use super::check::{Check, Status};
use super::ledger::TopicLedger;

/// `identity` tells the ids of the cluster and of a topic. A sink claims its topics before it writes anything else, so
/// what is there without a claim is what remains of a ledger.
pub(super) fn check<E: Display>(
    ledgers: &[TopicLedger],
    keys: &BTreeSet<String>,
    identity: impl Fn(&str) -> Result<(String, String), E>,
) -> Check {
    let mut check = Check::new("the ledger is of these topics");
    let mut claimed = 0;
    for Origin { topic, cluster_id, topic_id } in ledgers.iter().filter_map(|ledger| ledger.origin.as_ref()) {
        claimed += 1;
        match identity(topic) {
            Ok((cluster, id)) if (&cluster, &id) == (cluster_id, topic_id) => {}
            Ok((cluster, id)) => {
                let words = format!(
                    "{topic} is {id} of cluster {cluster}, the ledger is of {topic_id} of cluster {cluster_id}: the topic \
                     was made again, or the configuration names another cluster"
                );
                check.find(Status::NotProvable, words);
            }
            Err(error) => check.find(Status::NotProvable, format!("{topic}: {error}")),
        }
    }
    let objects = objects_of_topics(keys);
    for ledger in ledgers.iter().filter(|ledger| ledger.origin.is_none()) {
        let (ranges, topic) = (ledger.entries().count(), &ledger.topic);
        let objects = objects.get(topic).copied().unwrap_or(0);
        if objects > 0 || !ledger.partitions.is_empty() {
            let words = format!(
                "{topic} is claimed by no sink, and there are {objects} objects and {ranges} ranges of it: whose they \
                 are, nobody can tell"
            );
            check.find(Status::NotProvable, words);
        }
    }
    check.compared = format!("{claimed} of {} topics are claimed by a sink", ledgers.len());
    check
}

fn objects_of_topics(keys: &BTreeSet<String>) -> BTreeMap<String, u64> {
    let mut objects = BTreeMap::new();
    let names = keys.iter().filter_map(|key| key.parse::<ObjectName>().ok());
    names.for_each(|name| *objects.entry(name.topic).or_default() += 1);
    objects
}

#[cfg(test)]
mod tests {
    use s3_sink::Kind;

    use super::super::ledger::Document;
    use super::super::ledger::tests::{entry, ledger};
    use super::*;

    #[test]
    fn a_topic_that_was_made_again_proves_nothing() {
        let origin = Origin { topic: "t".to_owned(), cluster_id: "c".to_owned(), topic_id: "1".to_owned() };
        let ledgers = [
            TopicLedger::of(Kind::Raw, "t", [&Document::Origin(origin)]),
            TopicLedger::of(Kind::Late, "unclaimed", []),
        ];
        let none = BTreeSet::new();
        let with = |id: &str| check(&ledgers, &none, |_| Ok::<_, String>(("c".to_owned(), id.to_owned())));
        assert_eq!((with("1").status, with("2").status), (Status::Ok, Status::NotProvable));
        assert_eq!(with("1").compared, "1 of 2 topics are claimed by a sink");
        assert_eq!(check(&ledgers, &none, |_| Err("no answer")).status, Status::NotProvable);
    }

    #[test]
    fn what_is_left_of_a_ledger_without_an_origin_proves_nothing() {
        let range = entry("t", 0, 5, &[("raw/dt=2026-11-24/hour=13", 1, None)]);
        let keys: BTreeSet<_> = range.objects().iter().map(|object| object.key.clone()).collect();
        let none = BTreeSet::new();
        let (gone, headless) = (TopicLedger::of(Kind::Raw, "t", []), ledger(Kind::Raw, "t", &[range]));
        for (ledger, keys, status) in [
            (&gone, &none, Status::Ok),
            (&gone, &keys, Status::NotProvable),
            (&headless, &none, Status::NotProvable),
            (&headless, &keys, Status::NotProvable),
        ] {
            let check = check(std::slice::from_ref(ledger), keys, |_| Err("not asked"));
            assert_eq!(check.status, status, "{:?}", check.findings);
        }
    }
}
