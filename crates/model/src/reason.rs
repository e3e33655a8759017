//! Why an event is refused: a label of metrics, and the header `dead-letter-reason`.

use std::fmt;

/// One reason. The names are part of the wire: [`Reason::as_str`] never changes for a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not JSON, or not UTF-8.
    MalformedJson,
    /// JSON, but no object.
    NotAnObject,
    /// A known field stands there twice.
    DuplicateField,
    /// A required field is not there.
    MissingField,
    /// `user_id` is no unsigned 64-bit whole number.
    InvalidUserId,
    /// `postcode` is no postcode.
    InvalidPostcode,
    /// `webpage` is no text of 1 to 2048 bytes.
    InvalidWebpage,
    /// `timestamp` is no whole number of seconds since the epoch.
    InvalidTimestamp,
    /// `timestamp` is in milliseconds.
    TimestampInMilliseconds,
    /// `timestamp` is too far ahead of the clock that checks it.
    TimestampInFuture,
    /// `timestamp` is further back than the deployment accepts.
    TimestampTooOld,
    /// `event_id` is no 1 to 64 visible ASCII characters.
    InvalidEventId,
    /// One event is larger than 64 KiB.
    TooLarge,
    /// A Kafka record without a value.
    Tombstone,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::MalformedJson,
        Self::NotAnObject,
        Self::DuplicateField,
        Self::MissingField,
        Self::InvalidUserId,
        Self::InvalidPostcode,
        Self::InvalidWebpage,
        Self::InvalidTimestamp,
        Self::TimestampInMilliseconds,
        Self::TimestampInFuture,
        Self::TimestampTooOld,
        Self::InvalidEventId,
        Self::TooLarge,
        Self::Tombstone,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateField => "duplicate_field",
            Self::MissingField => "missing_field",
            Self::InvalidUserId => "invalid_user_id",
            Self::InvalidPostcode => "invalid_postcode",
            Self::InvalidWebpage => "invalid_webpage",
            Self::InvalidTimestamp => "invalid_timestamp",
            Self::TimestampInMilliseconds => "timestamp_in_milliseconds",
            Self::TimestampInFuture => "timestamp_in_future",
            Self::TimestampTooOld => "timestamp_too_old",
            Self::InvalidEventId => "invalid_event_id",
            Self::TooLarge => "too_large",
            Self::Tombstone => "tombstone",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_are_all_and_their_names_differ() {
        let places: Vec<_> = Reason::ALL.iter().map(|reason| *reason as usize).collect();
        assert!(places.into_iter().eq(0..=Reason::Tombstone as usize), "the last one is Tombstone");
        assert_eq!(BTreeSet::from(Reason::ALL.map(Reason::as_str)).len(), Reason::ALL.len());
    }
}
