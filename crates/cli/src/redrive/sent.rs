//! What earlier runs have sent, of one partition of dead letters.

use std::collections::BTreeMap;

/// The consumer group whose committed offsets say what was sent: of every reason, or of one.
pub(super) fn group(reason: Option<&str>) -> String {
    match reason {
        None => "pageview-redrive".to_owned(),
        Some(reason) => format!("pageview-redrive-{reason}"),
    }
}

/// The next offsets of the groups. A run without a reason leaves out what runs with one have sent, and the other way
/// round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sent {
    all: i64,
    by_reason: BTreeMap<String, i64>,
}

impl Sent {
    /// Of the group of every reason: `next` is the next offset, zero if it has sent nothing.
    pub(super) const fn new(next: i64) -> Self {
        Self { all: next, by_reason: BTreeMap::new() }
    }

    /// Whether the group of `reason` was asked.
    pub(super) fn knows(&self, reason: &str) -> bool {
        self.by_reason.contains_key(reason)
    }

    /// What the group of `reason` says.
    pub(super) fn learn(&mut self, reason: &str, next: i64) {
        self.by_reason.insert(reason.to_owned(), next);
    }

    /// Whether the dead letter at `offset` was sent by either.
    pub(super) fn has(&self, reason: &str, offset: i64) -> bool {
        offset < self.from(Some(reason))
    }

    /// The first offset that a run of `reason`, or of every reason, has to look at.
    pub(super) fn from(&self, reason: Option<&str>) -> i64 {
        let of_reason = reason.and_then(|reason| self.by_reason.get(reason)).copied().unwrap_or(0);
        self.all.max(of_reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_run_knows_what_the_other_has_sent() {
        let mut sent = Sent::new(5);
        assert!(sent.has("tombstone", 4) && !sent.has("tombstone", 5));
        assert!(!sent.knows("tombstone"));
        sent.learn("tombstone", 9);
        sent.learn("too_large", 2);
        assert!(sent.has("tombstone", 8) && !sent.has("tombstone", 9));
        assert!(sent.has("too_large", 4) && !sent.has("too_large", 5));
        assert_eq!((sent.from(None), sent.from(Some("tombstone")), sent.from(Some("too_large"))), (5, 9, 5));
    }

    #[test]
    fn groups_are_final() {
        assert_eq!(group(None), "pageview-redrive");
        assert_eq!(group(Some("tombstone")), "pageview-redrive-tombstone");
    }
}
