//! What release 0.1 has written is read by this one, and what it had begun is finished as it would have done it.
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read fails the test, whoever reads it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use model::EpochMillis;
use s3_sink::Kind;
use s3_sink::batch::Batch;
use s3_sink::checksum::Hasher;
use s3_sink::encode::Tools;
use s3_sink::envelope::Envelope;
use s3_sink::hint::Hint;
use s3_sink::ledger::{Content, Entry, Genesis, Object, Origin};
use s3_sink::object_name::LedgerKeys;
use s3_sink::range::{Range, Sealed, Source};
use s3_sink::record::{Header, Headers, Record};
use s3_sink::route::Router;

const TOPICS: [(&str, Kind); 4] = [
    ("pageviews", Kind::Raw),
    ("pageview-aggregates", Kind::Aggregates),
    ("late-pageview-aggregates", Kind::Late),
    ("pageview-dead-letters", Kind::DeadLetters),
];

/// A record as it was in Kafka.
#[derive(Debug)]
struct Kept {
    partition: i32,
    offset: i64,
    timestamp: EpochMillis,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Headers for Kept {
    fn read(&self) -> Vec<Header<'_>> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| Header { name: name.into(), value: value.as_deref() }).collect()
    }
}

#[test]
fn every_document_of_the_ledger_is_read_and_would_be_written_the_same() {
    let mut read = BTreeMap::new();
    for (key, json) in documents() {
        let (what, again) = if key.ends_with("origin.json") {
            ("origins", Origin::parse(&key, &json).unwrap().to_json())
        } else if key.ends_with("genesis.json") {
            ("geneses", Genesis::parse(&key, &json).unwrap().to_json())
        } else {
            ("entries", Entry::parse(&key, &json).unwrap().to_json())
        };
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8(json).unwrap(), "{key}");
        *read.entry(what).or_insert(0) += 1;
    }
    assert_eq!(read, BTreeMap::from([("origins", 4), ("geneses", 7), ("entries", 17)]));
}

#[test]
fn the_checksums_of_the_objects_are_those_of_their_entries() {
    let mut compared = 0;
    for (entry, records, _) in entries() {
        for object in entry.objects() {
            assert_eq!(checksum(object, &records).to_string(), object.checksum.to_string(), "{}", object.key);
            compared += 1;
        }
    }
    assert_eq!(compared, 24);
}

#[test]
fn a_range_written_again_agrees_with_its_entry_and_has_the_same_lines() {
    for (entry, records, kind) in entries() {
        let Sealed { entry: again, bodies } = write_again(kind, &entry, &records);
        assert!(again.agrees(&entry), "{again:#?}\n{entry:#?}");
        for (object, body) in entry.objects().iter().zip(&bodies) {
            assert_eq!(unpacked(body), unpacked(&body_of(object)), "{}", object.key);
        }
    }
}

#[test]
fn what_was_committed_names_the_last_entry_of_its_partition() {
    let committed = fs::read_to_string(folder().join("committed.ndjson")).unwrap();
    let mut last = BTreeMap::new();
    for (entry, ..) in entries() {
        last.insert((entry.topic.clone(), i64::from(entry.partition)), (entry.start, entry.end));
    }
    for line in committed.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let (topic, partition) = (json["topic"].as_str().unwrap(), json["partition"].as_i64().unwrap());
        let hint = Hint::parse(json["offset"].as_i64().unwrap(), json["metadata"].as_str().unwrap()).unwrap();
        let (start, end) = last.remove(&(topic.to_owned(), partition)).unwrap();
        assert!(hint.completed(start, end), "{line}: [{start}, {end})");
    }
    assert!(last.is_empty(), "{last:?}");
}

/// The records of `entry`, written by the recipe that it names.
fn write_again(kind: Kind, entry: &Entry, records: &[Kept]) -> Sealed {
    let Content::Written(written) = &entry.content else { panic!("{entry:?}") };
    let router = Router::by(kind, &written.recipe).unwrap();
    let source = Source { kind, topic: entry.topic.clone(), partition: entry.partition };
    let (mut batch, mut tools) = (Batch::default(), Tools::new());
    records.iter().for_each(|kept| batch.push(&record(kept)));
    let mut range = Range::new(source, router, entry.start);
    range.push(&batch, &mut tools).unwrap();
    range.seal(&mut tools).unwrap()
}

fn record(kept: &Kept) -> Record<'_> {
    let (key, value) = (kept.key.as_deref(), kept.value.as_deref());
    Record { offset: kept.offset, timestamp: kept.timestamp, key, value, headers: kept }
}

/// Computed from the object's own lines. Those of events do not say their offsets, which are those of the records with
/// the same values, in the same order.
fn checksum(object: &Object, records: &[Kept]) -> s3_sink::checksum::Checksum {
    let (mut hasher, mut records) = (Hasher::default(), records.iter());
    let lines = unpacked(&body_of(object));
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if object.key.starts_with("dead-letter/") {
            let Envelope { offset, value_base64, .. } = Envelope::parse(line).unwrap();
            hasher.record(offset, value_base64.as_deref().map(decoded).as_deref());
        } else {
            let kept = records.find(|kept| kept.value.as_deref() == Some(line)).unwrap();
            hasher.record(kept.offset, Some(line));
        }
    }
    hasher.finish()
}

/// Every entry, ascending in its partition, with the records of its range and the writer that it is of.
fn entries() -> Vec<(Entry, Vec<Kept>, Kind)> {
    let entries = documents().into_iter().filter_map(|(key, json)| {
        let (topic, kind) =
            TOPICS.into_iter().find(|(topic, _)| key.starts_with(&format!("ledger/{topic}/")))?;
        LedgerKeys::of_key(topic, &key)?.start_of(&key)?;
        let entry = Entry::parse(&key, &json).unwrap();
        let mut records = records(topic);
        records.retain(|kept| {
            kept.partition == entry.partition && (entry.start..entry.end).contains(&kept.offset)
        });
        Some((entry, records, kind))
    });
    entries.collect()
}

fn records(topic: &str) -> Vec<Kept> {
    let text = fs::read_to_string(folder().join(format!("topics/{topic}.ndjson"))).unwrap();
    let kept = text.lines().map(|line| {
        let envelope = Envelope::parse(line.as_bytes()).unwrap();
        let header = |header: s3_sink::envelope::HeaderField| {
            (header.name, header.value_base64.as_deref().map(decoded))
        };
        Kept {
            partition: envelope.partition,
            offset: envelope.offset,
            timestamp: EpochMillis(envelope.timestamp),
            key: envelope.key_base64.as_deref().map(decoded),
            value: envelope.value_base64.as_deref().map(decoded),
            headers: envelope.headers.into_iter().map(header).collect(),
        }
    });
    kept.collect()
}

/// Keys and contents below `ledger/`, in the order of the keys.
fn documents() -> BTreeMap<String, Vec<u8>> {
    let mut documents = BTreeMap::new();
    let mut folders = vec![folder().join("bucket/ledger")];
    while let Some(next) = folders.pop() {
        for file in fs::read_dir(next).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(folder().join("bucket")).unwrap().to_str().unwrap().to_owned();
                documents.insert(key, fs::read(path).unwrap());
            }
        }
    }
    documents
}

fn body_of(object: &Object) -> Vec<u8> {
    fs::read(folder().join("bucket").join(&object.key)).unwrap()
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    MultiGzDecoder::new(body).read_to_end(&mut lines).unwrap();
    lines
}

fn decoded(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1")
}
