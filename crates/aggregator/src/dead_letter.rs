//! A record that cannot be counted, kept until the next transaction.

use model::{Reason, dead_letter};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;

/// Brokers refuse records above 1 MiB by default, and a transaction with a refused record can never be committed: what
/// would not fit beside our headers is cut. The whole record is in S3 either way.
const MAX_BYTES: usize = 1_000_000 - 4_096;

/// Says how many bytes the value had before it was cut.
const CUT_FROM: &str = "dead-letter-cut-from";

/// The original record, and why it is here.
pub(crate) struct DeadLetter {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
    pub(crate) reason: Reason,
}

impl DeadLetter {
    pub(crate) fn new(message: &BorrowedMessage<'_>, reason: Reason) -> Self {
        let headers = message.headers().map_or_else(OwnedHeaders::new, |headers| headers.detach());
        let size = |header: Header<'_, &[u8]>| header.key.len() + header.value.map_or(0, <[u8]>::len);
        let header_bytes: usize = headers.iter().map(size).sum();
        let room = MAX_BYTES.saturating_sub(header_bytes + message.key_len());
        let mut headers = headers
            .insert(Header { key: dead_letter::REASON, value: Some(reason.as_str()) })
            .insert(Header { key: dead_letter::TOPIC, value: Some(message.topic()) })
            .insert(Header { key: dead_letter::PARTITION, value: Some(&message.partition().to_string()) })
            .insert(Header { key: dead_letter::OFFSET, value: Some(&message.offset().to_string()) });
        let value = message.payload().map(|value| {
            if value.len() > room {
                let length = value.len().to_string();
                headers = std::mem::take(&mut headers).insert(Header { key: CUT_FROM, value: Some(&length) });
            }
            value[..value.len().min(room)].to_vec()
        });
        Self { key: message.key().map(<[u8]>::to_vec), value, headers, reason }
    }

    /// How much memory it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + size_of::<Self>()
    }

    pub(crate) fn to_record<'a>(&'a self, topic: &'a str) -> BaseRecord<'a, [u8], [u8]> {
        let mut record = BaseRecord::to(topic).headers(self.headers.clone());
        record.key = self.key.as_deref();
        record.payload = self.value.as_deref();
        record
    }
}
