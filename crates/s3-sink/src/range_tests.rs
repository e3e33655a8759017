use flate2::read::MultiGzDecoder;
use std::io::Read as _;

use super::*;
use crate::format::Format;
use crate::record::NO_HEADERS;

const T: i64 = 1_795_525_200_000;

fn record(offset: i64, timestamp: i64, value: &[u8]) -> Record<'_> {
    Record { offset, timestamp: EpochMillis(timestamp), key: None, value: Some(value), headers: &NO_HEADERS }
}

fn sealed(kind: Kind, format: Format, records: &[Record<'_>]) -> Sealed {
    let source = Source { kind, topic: "t".to_owned(), partition: 0 };
    let (mut range, mut tools) = (Range::new(source, Router::new(kind, format), 10), Tools::new());
    // However the records are split into batches.
    for records in records.chunks(2) {
        let mut batch = Batch::default();
        records.iter().for_each(|record| batch.push(record));
        range.push(&batch, &mut tools).unwrap();
    }
    range.seal(&mut tools).unwrap()
}

fn unpack(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    MultiGzDecoder::new(body).read_to_end(&mut text).unwrap();
    text
}

fn count(day: usize, count: u64) -> Vec<u8> {
    format!(r#"{{"postcode":"N1","window_start":"2021-01-{day:02}T00:00:00","pageview_count":{count}}}"#)
        .into_bytes()
}

#[test]
fn a_raw_range_is_one_object_and_its_poison_another() {
    let tombstone = Record { value: None, ..record(13, T + 2, b"") };
    let records = [record(11, T, b"{\"a\":1}"), tombstone, record(15, T + 3, b"{\"a\":2}")];
    let Sealed { entry, bodies } = sealed(Kind::Raw, Format::NdjsonGz, &records);
    assert_eq!((entry.start, entry.end), (10, 16), "the end is the last record's offset + 1");
    let name = "t-p00000-o00000000000000000010-00000000000000000016.ndjson.gz";
    let keys: Vec<_> = entry.objects().iter().map(|object| object.key.as_str()).collect();
    assert_eq!(
        keys,
        [format!("dead-letter/raw/dt=2026-11-24/{name}"), format!("raw/dt=2026-11-24/hour=13/{name}")]
    );
    assert_eq!(unpack(&bodies[1]), b"{\"a\":1}\n{\"a\":2}\n");
    let envelope = Envelope::parse(unpack(&bodies[0]).trim_ascii_end()).unwrap();
    assert_eq!((envelope.offset, envelope.reason.as_str(), envelope.value_base64), (13, "tombstone", None));
    let mut expected = Hasher::default();
    expected.record(11, Some(b"{\"a\":1}"));
    expected.record(15, Some(b"{\"a\":2}"));
    assert_eq!(entry.objects()[1].checksum, expected.finish());
    let offsets: Vec<_> =
        entry.objects().iter().map(|object| object.offsets_in(10, 16).unwrap().to_string()).collect();
    assert_eq!(offsets, ["13-14", "11-12,15-16"]);
    assert_eq!(Entry::parse(&entry.key(), &entry.to_json()).unwrap(), entry);
}

#[test]
fn counts_are_split_by_the_day_of_their_window_and_summed() {
    let (first, second, third) = (count(1, 5), count(2, 7), count(1, 6));
    let records = [record(10, T, &first), record(11, T, &second), record(12, T, &third)];
    for format in Format::ALL {
        let entry = sealed(Kind::Late, format, &records).entry;
        let told: Vec<_> = entry
            .objects()
            .iter()
            .map(|object| {
                (object.records, object.pageview_count, object.offsets_in(10, 13).unwrap().to_string())
            })
            .collect();
        assert_eq!(told, [(2, Some(11), "10-11,12-13".to_owned()), (1, Some(7), "11-12".to_owned())]);
        assert!(entry.objects().iter().all(|object| object.key.ends_with(format.name())), "{entry:?}");
    }
}

#[test]
fn what_the_ledger_says_of_content_is_the_same_in_every_format() {
    let event = br#"{"user_id":7,"postcode":"sw19","webpage":"a","timestamp":1611662684}"#;
    let records = [record(10, T, event), record(11, T + 1, event)];
    let checksums = Format::ALL.map(|format| sealed(Kind::Raw, format, &records).entry.objects()[0].checksum);
    assert!(checksums.iter().all(|checksum| *checksum == checksums[0]), "{checksums:?}");
}

#[test]
fn a_range_without_gaps_says_nothing_of_offsets() {
    let entry = sealed(Kind::Raw, Format::Ndjson, &[record(10, T, b"{}"), record(11, T, b"{}")]).entry;
    assert_eq!(entry.objects()[0].offsets, None);
    assert_eq!(entry.objects()[0].offsets_in(10, 12), Some(Offsets::run(10, 12)));
}
