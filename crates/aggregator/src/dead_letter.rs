//! A record that cannot be counted, kept until the next transaction.

use model::{Reason, dead_letter};
use rdkafka::message::{self, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use service::kafka::Header;

/// Brokers refuse records above 1 MiB by default, and a transaction with a refused record can never be committed: what
/// would not fit is cut. The whole record is in S3 either way.
const MAX_BYTES: usize = 1_000_000;
/// Room for our own headers, and for what a record takes beside its parts.
const OUR_BYTES: usize = 4_096;
/// The lengths and such that a header takes beside its name and value, at most.
const HEADER_BYTES: usize = 10;

/// Says how many bytes the value had before it was cut.
const CUT_FROM: &str = "dead-letter-cut-from";
/// Says how many bytes of key and headers were left out, none of which are here then.
const LEFT_OUT: &str = "dead-letter-left-out";

/// A record as it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [Header<'a>],
}

/// The original record, and why it is here.
pub(crate) struct DeadLetter {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
    bytes: usize,
    pub(crate) reason: Reason,
}

impl DeadLetter {
    pub(crate) fn new(original: &Original<'_>, reason: Reason) -> Self {
        let header_bytes =
            |header: &Header<'_>| header.name.len() + header.value.map_or(0, <[u8]>::len) + HEADER_BYTES;
        let mut kept: usize = original.headers.iter().map(header_bytes).sum();
        kept += original.key.map_or(0, <[u8]>::len);
        let mut headers = OwnedHeaders::new();
        let mut key = original.key;
        if kept + OUR_BYTES > MAX_BYTES {
            headers = with(headers, LEFT_OUT, &kept.to_string());
            (key, kept) = (None, 0);
        } else {
            for Header { name, value } in original.headers {
                headers = headers.insert(message::Header { key: name, value: *value });
            }
        }
        headers = with(headers, dead_letter::REASON, reason.as_str());
        headers = with(headers, dead_letter::TOPIC, original.topic);
        headers = with(headers, dead_letter::PARTITION, &original.partition.to_string());
        headers = with(headers, dead_letter::OFFSET, &original.offset.to_string());
        let room = MAX_BYTES - OUR_BYTES - kept;
        let value = original.value.map(|value| &value[..value.len().min(room)]);
        if let Some(whole) = original.value.filter(|whole| whole.len() > room) {
            headers = with(headers, CUT_FROM, &whole.len().to_string());
        }
        let bytes = size_of::<Self>() + OUR_BYTES + kept + value.map_or(0, <[u8]>::len);
        Self { key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), headers, bytes, reason }
    }

    /// How much memory it takes, at most.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn to_record<'a>(&'a self, topic: &'a str) -> BaseRecord<'a, [u8], [u8]> {
        let mut record = BaseRecord::to(topic).headers(self.headers.clone());
        record.key = self.key.as_deref();
        record.payload = self.value.as_deref();
        record
    }
}

fn with(headers: OwnedHeaders, name: &str, value: &str) -> OwnedHeaders {
    headers.insert(message::Header { key: name, value: Some(value) })
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;

    use super::*;

    fn dead_letter(key: &[u8], value: &[u8], headers: &[Header<'_>]) -> (DeadLetter, Vec<(String, String)>) {
        let original =
            Original { topic: "t", partition: 3, offset: 7, key: Some(key), value: Some(value), headers };
        let dead_letter = DeadLetter::new(&original, Reason::MalformedJson);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = dead_letter.headers.iter();
        let headers = headers.map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default())));
        let headers = headers.collect();
        (dead_letter, headers)
    }

    #[test]
    fn a_record_is_kept_with_its_headers_and_ours_last() {
        let theirs = [Header { name: "trace".into(), value: Some(b"1") }];
        let (letter, headers) = dead_letter(b"k", b"garbage", &theirs);
        assert_eq!(
            (letter.key.as_deref(), letter.value.as_deref()),
            (Some(&b"k"[..]), Some(&b"garbage"[..]))
        );
        let expected = [
            ("trace", "1"),
            ("dead-letter-reason", "malformed_json"),
            ("dead-letter-topic", "t"),
            ("dead-letter-partition", "3"),
            ("dead-letter-offset", "7"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_a_broker_would_refuse_is_cut() {
        let (letter, headers) = dead_letter(b"k", &vec![b'x'; 1_500_000], &[]);
        assert!(letter.bytes() < 1_001_000 && letter.key.is_some());
        assert!(headers.contains(&(CUT_FROM.to_owned(), "1500000".to_owned())));

        let many = vec![Header { name: "h".into(), value: None }; 100_000];
        let (letter, headers) = dead_letter(b"k", b"garbage", &many);
        assert_eq!((letter.key.as_deref(), letter.value.as_deref()), (None, Some(&b"garbage"[..])));
        assert_eq!(headers[0], (LEFT_OUT.to_owned(), "1100001".to_owned()));
        assert_eq!(headers.len(), 5);

        let (letter, _) = dead_letter(&vec![b'k'; 1_020_000], b"", &[]);
        assert!(letter.key.is_none() && letter.bytes() < 10_000);
    }
}
