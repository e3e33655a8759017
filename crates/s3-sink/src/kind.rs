//! The four writers: which topic each drains, and where in the bucket its objects lie.

use std::fmt;

/// One of the four writers of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Events, as clients sent them.
    Raw,
    /// Counts of closed windows.
    Aggregates,
    /// Counts of events that came after their window had closed.
    Late,
    /// What the aggregator could not count.
    DeadLetters,
}

impl Kind {
    /// Every writer.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Aggregates, Self::Late, Self::DeadLetters];

    /// The name in the configuration and the label `writer` of metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Aggregates => "aggregates",
            Self::Late => "late",
            Self::DeadLetters => "dead_letters",
        }
    }

    /// The consumer group: one a writer, so that each has its own pace and lag.
    #[must_use]
    pub const fn group_id(self) -> &'static str {
        match self {
            Self::Raw => "pageview-s3-raw",
            Self::Aggregates => "pageview-s3-aggregates",
            Self::Late => "pageview-s3-late",
            Self::DeadLetters => "pageview-s3-dead-letters",
        }
    }

    /// The folder of the records in the writer's own format; `None` for a writer that writes envelopes only.
    #[must_use]
    pub const fn folder(self) -> Option<&'static str> {
        match self {
            Self::Raw => Some("raw"),
            Self::Aggregates => Some("aggregates"),
            Self::Late => Some("late"),
            Self::DeadLetters => None,
        }
    }

    /// The folder of the records in envelopes: what [`Kind::folder`] cannot hold.
    #[must_use]
    pub const fn dead_letter_folder(self) -> &'static str {
        match self {
            Self::Raw => "dead-letter/raw",
            Self::Aggregates => "dead-letter/aggregates",
            Self::Late => "dead-letter/late",
            Self::DeadLetters => "dead-letter/topic",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
