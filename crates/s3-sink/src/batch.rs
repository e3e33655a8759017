//! Records on their way from the consumer to an encoder, copied once into one piece of memory.

use model::EpochMillis;

use crate::record::{Header, Headers, NO_HEADERS, Record};

/// Records of one range, in the order of their offsets.
#[derive(Debug, Default)]
pub struct Batch {
    /// Key and value of each record, one behind the other.
    bytes: Vec<u8>,
    records: Vec<Kept>,
    /// The headers of the few records that have any, by their place in `records`.
    headers: Vec<(usize, Vec<KeptHeader>)>,
    /// The bytes of memory that the headers take.
    header_memory: usize,
}

#[derive(Debug)]
struct Kept {
    offset: i64,
    timestamp: EpochMillis,
    key: Option<u32>,
    value: Option<u32>,
}

#[derive(Debug)]
struct KeptHeader {
    name: String,
    value: Option<Vec<u8>>,
}

impl Batch {
    /// Adds a record.
    pub fn push(&mut self, record: &Record<'_>) {
        let headers = record.headers.read();
        if !headers.is_empty() {
            let kept = headers.into_iter().map(|header| KeptHeader {
                name: header.name.into_owned(),
                value: header.value.map(<[u8]>::to_vec),
            });
            let kept: Vec<_> = kept.collect();
            self.header_memory += kept.iter().map(KeptHeader::memory).sum::<usize>();
            self.headers.push((self.records.len(), kept));
        }
        let key = self.keep(record.key);
        let value = self.keep(record.value);
        self.records.push(Kept { offset: record.offset, timestamp: record.timestamp, key, value });
    }

    fn keep(&mut self, bytes: Option<&[u8]>) -> Option<u32> {
        let bytes = bytes?;
        self.bytes.extend_from_slice(bytes);
        // Kafka's own lengths have 32 bits.
        u32::try_from(bytes.len()).ok()
    }

    /// Forgets its records and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.headers.clear();
        self.header_memory = 0;
    }

    /// Its records.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let (mut rest, mut headers) = (self.bytes.as_slice(), self.headers.iter().peekable());
        let mut take = move |length: Option<u32>| {
            let (bytes, after) = rest.split_at(length? as usize);
            rest = after;
            Some(bytes)
        };
        self.records.iter().enumerate().map(move |(index, kept)| Record {
            offset: kept.offset,
            timestamp: kept.timestamp,
            key: take(kept.key),
            value: take(kept.value),
            headers: match headers.next_if(|(owner, _)| *owner == index) {
                Some((_, headers)) => headers,
                None => &NO_HEADERS,
            },
        })
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The bytes of its keys and values.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of everything in it: records without a byte are work and take memory, too.
    #[must_use]
    pub const fn weight(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<Kept>() + self.header_memory
    }

    /// The bytes of memory it holds: vectors grow by doubling, so up to twice what is in them.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.bytes.capacity() + self.records.capacity() * size_of::<Kept>() + self.header_memory
    }
}

impl KeptHeader {
    fn memory(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

impl Headers for Vec<KeptHeader> {
    fn read(&self) -> Vec<Header<'_>> {
        self.iter()
            .map(|header| Header { name: header.name.as_str().into(), value: header.value.as_deref() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in() {
        let headers =
            [Header { name: "a".into(), value: Some(b"1") }, Header { name: "b".into(), value: None }];
        let plain = Record {
            offset: 5,
            timestamp: EpochMillis(7),
            key: Some(b"SW19"),
            value: Some(b"{}"),
            headers: &NO_HEADERS,
        };
        let records = [
            plain,
            Record { offset: 6, key: None, headers: &headers, ..plain },
            Record { offset: 9, key: Some(b""), value: None, ..plain },
            Record { offset: 10, value: Some(b""), headers: &headers, ..plain },
        ];
        let mut batch = Batch::default();
        records.iter().for_each(|record| batch.push(record));
        let told = |record: &Record<'_>| {
            let headers = record.headers.read();
            format!(
                "{} {:?} {:?} {:?} {headers:?}",
                record.offset, record.timestamp, record.key, record.value
            )
        };
        let out: Vec<_> = batch.records().map(|record| told(&record)).collect();
        assert_eq!(out, records.iter().map(told).collect::<Vec<_>>());
        assert_eq!(batch.size(), 12);
    }

    #[test]
    fn headers_and_records_without_a_byte_have_weight() {
        let long = [0; 1000];
        let headers = [Header { name: "a".into(), value: Some(&long) }];
        let tombstone =
            Record { offset: 0, timestamp: EpochMillis(0), key: None, value: None, headers: &headers };
        let mut batch = Batch::default();
        batch.push(&tombstone);
        assert!(batch.size() == 0 && batch.weight() > 1000 && batch.memory() > 1000);
        batch.clear();
        assert_eq!(batch.weight(), 0);
    }
}
