//! Whether a topic is still the one whose ledger was claimed: created again, it has the same name and other records.

use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use service::kafka::cluster;

use crate::ledger::Origin;

/// How long an answer holds. Many partitions look for their frontiers at about the same time.
const HOLDS: Duration = Duration::from_secs(3);

/// What was claimed, and when it was last true.
#[derive(Debug)]
pub(crate) struct Identity {
    claimed: Origin,
    confirmed: Option<Instant>,
}

/// Why the topic cannot be taken for the one claimed.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// It is this one.
    Foreign(Origin),
    /// Nobody could say.
    Unanswered(cluster::Error),
}

impl Identity {
    pub(crate) const fn new(claimed: Origin) -> Self {
        Self { claimed, confirmed: None }
    }

    pub(crate) const fn claimed(&self) -> &Origin {
        &self.claimed
    }

    /// Something happened that a topic created again would explain.
    pub(crate) fn doubt(&mut self) {
        self.confirmed = None;
    }

    /// Asks who the topic is, unless that was answered a moment ago and not doubted since.
    pub(crate) fn confirm(
        &mut self,
        now: Instant,
        ask: impl FnOnce() -> Result<Origin, cluster::Error>,
    ) -> Result<(), Doubt> {
        if self.confirmed.is_some_and(|confirmed| now - confirmed < HOLDS) {
            return Ok(());
        }
        let found = ask().map_err(Doubt::Unanswered)?;
        if found != self.claimed {
            return Err(Doubt::Foreign(found));
        }
        self.confirmed = Some(now);
        Ok(())
    }
}

/// Asks the cluster who `topic` is.
pub(crate) fn ask<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<Origin, cluster::Error> {
    let cluster_id = cluster::cluster_id(client, timeout)?;
    let topic_id = cluster::topic_id(client, topic, timeout)?;
    Ok(Origin { topic: topic.to_owned(), cluster_id, topic_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(topic_id: &str) -> Origin {
        Origin { topic: "t".to_owned(), cluster_id: "c".to_owned(), topic_id: topic_id.to_owned() }
    }

    #[test]
    fn an_answer_holds_for_a_moment_and_not_beyond_a_doubt() {
        let mut identity = Identity::new(origin("old"));
        let now = service::clock::monotonic();
        let old = || Ok(origin("old"));
        let new = || Ok(origin("new"));
        assert!(identity.confirm(now, old).is_ok());
        assert!(identity.confirm(now + HOLDS / 2, || panic!("it was asked a moment ago")).is_ok());
        assert!(matches!(identity.confirm(now + HOLDS, new), Err(Doubt::Foreign(_))));
        assert!(identity.confirm(now + HOLDS, old).is_ok());
        identity.doubt();
        assert!(matches!(identity.confirm(now + HOLDS, new), Err(Doubt::Foreign(_))));
    }

    #[test]
    fn no_answer_is_no_confirmation() {
        let mut identity = Identity::new(origin("old"));
        let now = service::clock::monotonic();
        let away = || Err(cluster::Error::NoCluster(HOLDS));
        assert!(matches!(identity.confirm(now, away), Err(Doubt::Unanswered(_))));
        assert!(matches!(identity.confirm(now, || Ok(origin("new"))), Err(Doubt::Foreign(_))));
    }
}
