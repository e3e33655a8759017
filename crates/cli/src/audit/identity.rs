//! Whether the ledger speaks of these topics: a topic that was deleted and made again has other records under the same
//! offsets.

use std::fmt::Display;

use s3_sink::ledger::Origin;

use super::check::{Check, Status};
use super::ledger::TopicLedger;

/// `identity` tells the ids of the cluster and of a topic.
pub(super) fn check<E: Display>(
    ledgers: &[TopicLedger],
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
    check.compared = format!("{claimed} of {} topics are claimed by a sink", ledgers.len());
    check
}

#[cfg(test)]
mod tests {
    use s3_sink::Kind;

    use super::super::ledger::Document;
    use super::*;

    #[test]
    fn a_topic_that_was_made_again_proves_nothing() {
        let origin = Origin { topic: "t".to_owned(), cluster_id: "c".to_owned(), topic_id: "1".to_owned() };
        let ledgers = [
            TopicLedger::of(Kind::Raw, "t", [&Document::Origin(origin)]),
            TopicLedger::of(Kind::Late, "unclaimed", []),
        ];
        let with = |id: &str| check(&ledgers, |_| Ok::<_, String>(("c".to_owned(), id.to_owned())));
        assert_eq!((with("1").status, with("2").status), (Status::Ok, Status::NotProvable));
        assert_eq!(with("1").compared, "1 of 2 topics are claimed by a sink");
        assert_eq!(check(&ledgers, |_| Err("no answer")).status, Status::NotProvable);
    }
}
