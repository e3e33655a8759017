//! Headers of a record in `pageview-dead-letters`. Key, value and other headers are those of the original record.

/// Why the record could not be counted: the name of a [`crate::Reason`].
pub const REASON: &str = "dead-letter-reason";
/// The topic it was read from.
pub const TOPIC: &str = "dead-letter-topic";
/// Its partition there.
pub const PARTITION: &str = "dead-letter-partition";
/// Its offset there.
pub const OFFSET: &str = "dead-letter-offset";
