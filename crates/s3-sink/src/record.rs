//! A record of a topic as the sink sees it: borrowed from the consumer, gone once it was pushed.

use model::EpochMillis;

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
    /// Its headers, in their order; names may repeat.
    pub headers: &'a [Header<'a>],
}

/// One header of a record.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: Option<&'a [u8]>,
}
