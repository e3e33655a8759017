//! How a dead letter is written: the whole record in one line of JSON, whatever its bytes are.
//!
//! ```json
#![doc = include_str!("../fixtures/envelope.json")]
//! ```
//! `timestamp` is the record's, in milliseconds; a null key, value or header value is `null`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::record::{Header, Record};

/// One line of an object below `dead-letter/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The topic that the sink read the record from.
    pub topic: String,
    /// The partition there.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
    /// The record's timestamp in milliseconds since the epoch.
    pub timestamp: i64,
    /// Why it is here.
    pub reason: String,
    /// The key, base64.
    pub key_base64: Option<String>,
    /// The value, base64.
    pub value_base64: Option<String>,
    /// The headers in their order.
    pub headers: Vec<HeaderField>,
}

/// One header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderField {
    /// Its name.
    pub name: String,
    /// Its value, base64.
    pub value_base64: Option<String>,
}

impl Envelope {
    /// Wraps `record`.
    #[must_use]
    pub fn new(topic: &str, partition: i32, record: &Record<'_>, reason: &str) -> Self {
        let base64 = |bytes: Option<&[u8]>| bytes.map(|bytes| STANDARD.encode(bytes));
        let header = |header: Header<'_>| HeaderField {
            name: header.name.into_owned(),
            value_base64: base64(header.value),
        };
        Self {
            topic: topic.to_owned(),
            partition,
            offset: record.offset,
            timestamp: record.timestamp.0,
            reason: reason.to_owned(),
            key_base64: base64(record.key),
            value_base64: base64(record.value),
            headers: record.headers.read().into_iter().map(header).collect(),
        }
    }

    /// One line of JSON, without the line break.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers only: serialization into memory has no way to fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads one line.
    ///
    /// # Errors
    /// When it is no such JSON.
    pub fn parse(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }

    /// The record's value; `None` was a tombstone.
    ///
    /// # Errors
    /// When it is no base64.
    pub fn value(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        self.value_base64.as_ref().map(|text| STANDARD.decode(text)).transpose()
    }

    /// The text of the last header of this name: whoever passes a record on puts its own behind those that it came with.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let header = self.headers.iter().rev().find(|header| header.name == name)?;
        String::from_utf8(STANDARD.decode(header.value_base64.as_ref()?).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use model::EpochMillis;

    use super::*;
    use crate::record::NO_HEADERS;

    #[test]
    fn the_fixture_is_written_and_read_to_the_byte() {
        let headers = [
            Header { name: "dead-letter-reason".into(), value: Some(b"malformed_json") },
            Header { name: "x".into(), value: None },
        ];
        let record = Record {
            offset: 42,
            timestamp: EpochMillis(1_795_525_200_123),
            key: Some(b"SW19"),
            value: Some(b"{\"user_id\":\n"),
            headers: &headers,
        };
        let envelope = Envelope::new("pageview-dead-letters", 0, &record, "malformed_json");
        let fixture = include_str!("../fixtures/envelope.json").trim_end();
        assert_eq!(String::from_utf8(envelope.to_json()).unwrap(), fixture);
        assert_eq!(Envelope::parse(fixture.as_bytes()).unwrap(), envelope);
        assert_eq!(envelope.value().unwrap().as_deref(), record.value);
        assert_eq!(envelope.header("dead-letter-reason").as_deref(), Some("malformed_json"));
        assert_eq!((envelope.header("x"), envelope.header("y")), (None, None));
    }

    #[test]
    fn a_null_is_not_an_empty_value() {
        let record =
            Record { offset: 0, timestamp: EpochMillis(0), key: None, value: None, headers: &NO_HEADERS };
        let envelope = Envelope::new("t", 0, &record, "tombstone");
        assert_eq!(envelope.value().unwrap(), None);
        let empty = Envelope::new("t", 0, &Record { value: Some(b""), ..record }, "empty");
        assert_eq!(empty.value().unwrap(), Some(vec![]));
    }
}
