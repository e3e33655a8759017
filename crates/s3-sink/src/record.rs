//! A record of a topic as the sink sees it: borrowed from the consumer, gone once it was pushed.

use std::fmt;

use model::EpochMillis;
pub use service::kafka::Header;

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp: the time of ingestion.
    pub timestamp: EpochMillis,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a dyn Headers,
}

/// The headers of a record, read only where they are written: an event's line has none of them.
pub trait Headers: fmt::Debug {
    /// All of them, in their order; names may repeat.
    fn read(&self) -> Vec<Header<'_>>;
}

/// Those of a record that has none.
pub const NO_HEADERS: [Header<'static>; 0] = [];

impl<const N: usize> Headers for [Header<'_>; N] {
    fn read(&self) -> Vec<Header<'_>> {
        self.to_vec()
    }
}
