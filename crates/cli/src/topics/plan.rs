//! What the topics have to be, and how a topic that exists differs from that.

use std::fmt;

use model::topic;
use service::config::Pipeline;

/// More copies than this are the operator's own wish.
const USUAL_REPLICATION: usize = 3;

/// A topic as the pipeline needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: i32,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Existing {
    pub(super) partitions: i32,
    pub(super) replication: usize,
    /// `message.timestamp.type`.
    pub(super) timestamps: String,
}

/// A difference that would break the promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mismatch {
    Partitions { found: i32, expected: i32 },
    Timestamps { found: String },
}

/// Record timestamps are the time of ingestion, as the producer saw it.
pub(super) const CREATE_TIME: &str = "CreateTime";

/// The topics of a pipeline, in the order data flows.
pub(super) fn topics(pipeline: &Pipeline) -> [Topic; 4] {
    let topic = |name: &String, partitions| Topic { name: name.clone(), partitions };
    [
        topic(&pipeline.pageviews_topic, topic::PARTITIONS),
        topic(&pipeline.aggregates_topic, topic::PARTITIONS),
        topic(&pipeline.late_topic, topic::PARTITIONS),
        topic(&pipeline.dead_letters_topic, topic::DEAD_LETTER_PARTITIONS),
    ]
}

/// As many copies as there are brokers, up to the usual three, unless the operator says otherwise.
pub(super) fn replication(wished: Option<usize>, brokers: usize) -> usize {
    wished.unwrap_or_else(|| brokers.clamp(1, USUAL_REPLICATION))
}

/// The settings of a new topic with `replication` copies of each partition.
pub(super) fn settings(replication: usize) -> [(&'static str, &'static str); 3] {
    // With three copies one broker may be away and two still hold what was acknowledged. With two, asking for both
    // would stop the pipeline whenever one is away.
    let in_sync = if replication >= 3 { "2" } else { "1" };
    [
        ("message.timestamp.type", CREATE_TIME),
        ("min.insync.replicas", in_sync),
        // A broker that missed acknowledged records never leads: they would be gone.
        ("unclean.leader.election.enable", "false"),
    ]
}

impl Topic {
    /// Everything about `existing` that the pipeline cannot live with.
    pub(super) fn mismatches(&self, existing: &Existing) -> Vec<Mismatch> {
        let mut mismatches = Vec::new();
        if existing.partitions != self.partitions {
            let (found, expected) = (existing.partitions, self.partitions);
            mismatches.push(Mismatch::Partitions { found, expected });
        }
        if existing.timestamps != CREATE_TIME {
            mismatches.push(Mismatch::Timestamps { found: existing.timestamps.clone() });
        }
        mismatches
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partitions { found, expected } => write!(
                f,
                "it has {found} partitions, not {expected}; their number decides where a postcode goes, so make it \
                 anew or name another topic"
            ),
            Self::Timestamps { found } => write!(
                f,
                "its message.timestamp.type is {found}, not {CREATE_TIME}; mend it with `kafka-configs.sh --alter \
                 --add-config message.timestamp.type={CREATE_TIME}`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pageviews() -> Topic {
        Topic { name: "pageviews".to_owned(), partitions: 6 }
    }

    fn existing() -> Existing {
        Existing { partitions: 6, replication: 1, timestamps: "CreateTime".to_owned() }
    }

    #[test]
    fn copies_follow_the_brokers_up_to_three() {
        for (wished, brokers, copies) in
            [(None, 1, 1), (None, 2, 2), (None, 3, 3), (None, 9, 3), (Some(1), 3, 1), (None, 0, 1)]
        {
            assert_eq!(replication(wished, brokers), copies);
        }
    }

    #[test]
    fn one_broker_may_be_away_as_soon_as_there_are_two() {
        let in_sync = |copies| settings(copies).into_iter().find(|(key, _)| *key == "min.insync.replicas");
        for (copies, needed) in [(1, "1"), (2, "1"), (3, "2"), (5, "2")] {
            assert_eq!(in_sync(copies), Some(("min.insync.replicas", needed)));
        }
    }

    #[test]
    fn what_breaks_the_promise_is_named_and_nothing_else() {
        assert_eq!(pageviews().mismatches(&existing()), []);
        assert_eq!(pageviews().mismatches(&Existing { replication: 3, ..existing() }), []);
        let wrong = Existing { partitions: 1, timestamps: "LogAppendTime".to_owned(), ..existing() };
        assert_eq!(
            pageviews().mismatches(&wrong),
            [
                Mismatch::Partitions { found: 1, expected: 6 },
                Mismatch::Timestamps { found: "LogAppendTime".to_owned() },
            ]
        );
    }
}
