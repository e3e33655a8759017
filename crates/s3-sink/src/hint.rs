//! The metadata committed to Kafka beside an offset: a hint where in the ledger to look first, never a truth.

use std::fmt;

/// What a consumer group's committed offset says. Written as `v1 ledger=<start>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// The offset committed: the next to read.
    pub committed: i64,
    /// The start of the last range whose objects were all written before this commit.
    pub ledger: i64,
}

impl Hint {
    /// Reads a commit. `None` for metadata that is empty or not ours: then the whole ledger is listed.
    #[must_use]
    pub fn parse(committed: i64, metadata: &str) -> Option<Self> {
        let ledger = metadata.strip_prefix("v1 ledger=")?.parse().ok()?;
        (committed >= 0 && ledger >= 0).then_some(Self { committed, ledger })
    }

    /// The text committed.
    #[must_use]
    pub fn metadata(&self) -> String {
        self.to_string()
    }

    /// Whether it says that the range `[start, end)` was completed: every object was there at some time.
    #[must_use]
    pub const fn completed(&self, start: i64, end: i64) -> bool {
        self.ledger == start && self.committed >= end
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1 ledger={}", self.ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_is_final() {
        let hint = Hint { committed: 1850, ledger: 1200 };
        assert_eq!(hint.metadata(), "v1 ledger=1200");
        assert_eq!(Hint::parse(1850, "v1 ledger=1200"), Some(hint));
    }

    #[test]
    fn anything_else_is_no_hint() {
        for other in ["", "v1", "v2 ledger=1", "v1 ledger=", "v1 ledger=-1", "v1 ledger=1 x", "v1 next=1"] {
            assert_eq!(Hint::parse(5, other), None, "{other:?}");
        }
        assert_eq!(Hint::parse(-1001, "v1 ledger=1"), None);
    }

    #[test]
    fn it_speaks_of_the_range_it_names_only() {
        let hint = Hint { committed: 20, ledger: 10 };
        assert!(
            hint.completed(10, 20) && hint.completed(10, 18),
            "control records may lie between end and commit"
        );
        assert!(!hint.completed(10, 21) && !hint.completed(11, 20));
    }
}
