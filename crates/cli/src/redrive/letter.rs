//! A dead letter, and what it was before it became one.

use base64::DecodeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::dead_letter;
use rdkafka::message::{Header, OwnedHeaders};
use s3_sink::envelope::{Envelope, HeaderField};
use serde::Serialize;

use crate::transaction::Outgoing;

/// What every header begins with that the aggregator has put on.
const OURS: &str = "dead-letter-";
/// The aggregator's word that it has kept only the beginning of the value.
const CUT_FROM: &str = "dead-letter-cut-from";
/// Says of a record where its dead letter lies: `topic-partition-offset`.
pub(super) const REDRIVEN_FROM: &str = "redriven-from";

/// A dead letter that can be sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    /// Why it could not be counted.
    pub(super) reason: String,
    /// Where it lies, as a header says it.
    origin: String,
    key: Option<Vec<u8>>,
    /// The event as it came, or as a command has mended it.
    pub(super) value: Option<Vec<u8>>,
    /// The headers that it came with.
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Why a dead letter stays where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Left {
    /// It was too large for Kafka, so that only its beginning is here. All of it is in raw/.
    Cut,
    /// It was not read from the topic of events: somebody else wrote it.
    Foreign,
}

impl Left {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Cut => "only their beginning was kept, all of them is in raw/",
            Self::Foreign => "they did not come from the topic of events",
        }
    }
}

impl Letter {
    /// Takes a dead letter out of its `envelope`; it goes back to `topic` or nowhere.
    ///
    /// # Errors
    /// When the envelope is no base64: its object is damaged.
    pub(super) fn open(envelope: &Envelope, topic: &str) -> Result<Result<Self, Left>, DecodeError> {
        // The aggregator puts its own headers behind those that the record came with, so the last one is its word.
        let stated = |name: &str| {
            let header = envelope.headers.iter().rev().find(|header| header.name == name);
            header.and_then(|header| decoded(header.value_base64.as_ref()).ok().flatten())
        };
        if stated(dead_letter::TOPIC).as_deref() != Some(topic.as_bytes()) {
            return Ok(Err(Left::Foreign));
        }
        if stated(CUT_FROM).is_some() {
            return Ok(Err(Left::Cut));
        }
        let theirs = |header: &&HeaderField| !header.name.starts_with(OURS) && header.name != REDRIVEN_FROM;
        let headers = envelope.headers.iter().filter(theirs);
        let headers = headers
            .map(|header| Ok((header.name.clone(), decoded(header.value_base64.as_ref())?)))
            .collect::<Result<_, _>>()?;
        Ok(Ok(Self {
            reason: envelope.reason.clone(),
            origin: format!("{}-{}-{}", envelope.topic, envelope.partition, envelope.offset),
            key: decoded(envelope.key_base64.as_ref())?,
            value: envelope.value()?,
            headers,
        }))
    }

    /// The record to be sent.
    pub(super) fn into_record(self) -> Outgoing {
        let mut headers = OwnedHeaders::new_with_capacity(self.headers.len() + 1);
        for (key, value) in &self.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        headers = headers.insert(Header { key: REDRIVEN_FROM, value: Some(&self.origin) });
        Outgoing { key: self.key, value: self.value, headers }
    }
}

fn decoded(base64: Option<&String>) -> Result<Option<Vec<u8>>, DecodeError> {
    base64.map(|text| STANDARD.decode(text)).transpose()
}

#[cfg(test)]
mod tests {
    use model::EpochMillis;
    use rdkafka::message::Headers as _;
    use s3_sink::record::{Header as Read, Record};

    use super::*;

    fn envelope<const N: usize>(headers: [(&'static str, &'static [u8]); N]) -> Envelope {
        let headers = headers.map(|(name, value)| Read { name: name.into(), value: Some(value) });
        let record = Record {
            offset: 42,
            timestamp: EpochMillis(0),
            key: Some(b"SW19"),
            value: Some(b"{"),
            headers: &headers,
        };
        Envelope::new("pageview-dead-letters", 0, &record, "malformed_json")
    }

    fn open<const N: usize>(headers: [(&'static str, &'static [u8]); N]) -> Result<Letter, Left> {
        Letter::open(&envelope(headers), "pageviews").unwrap()
    }

    #[test]
    fn what_is_sent_is_what_came_and_says_where_it_was() {
        let letter = open([
            ("trace", b"1"),
            ("redriven-from", b"pageview-dead-letters-0-7"),
            ("dead-letter-topic", b"a client's own"),
            ("dead-letter-reason", b"malformed_json"),
            ("dead-letter-topic", b"pageviews"),
            ("dead-letter-offset", b"5"),
        ]);
        let letter = letter.unwrap();
        assert_eq!(letter.reason, "malformed_json");
        let record = letter.into_record();
        assert_eq!((record.key.as_deref(), record.value.as_deref()), (Some(&b"SW19"[..]), Some(&b"{"[..])));
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap().to_vec()))
            .collect();
        let expected: [(&str, &[u8]); 2] =
            [("trace", b"1"), ("redriven-from", b"pageview-dead-letters-0-42")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    }

    #[test]
    fn what_is_not_whole_or_not_ours_stays() {
        assert_eq!(open([]), Err(Left::Foreign));
        assert_eq!(open([("dead-letter-topic", b"other")]), Err(Left::Foreign));
        let cut = open([("dead-letter-topic", b"pageviews"), ("dead-letter-cut-from", b"1500000")]);
        assert_eq!(cut, Err(Left::Cut));
    }

    #[test]
    fn a_damaged_envelope_is_an_error() {
        let mut damaged = envelope([("dead-letter-topic", b"pageviews")]);
        damaged.value_base64 = Some("?".to_owned());
        assert!(Letter::open(&damaged, "pageviews").is_err());
    }
}
