//! Records that others write into the topic, past the API: what is a pageview is counted by the postcode in it, whatever
//! its key, headers and compression; everything else is a dead letter, as it was; and S3 has every record once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{
    Counts, Foreign, ForeignHeader, README_EVENT, audit_ledger, byte_lines, eventually, lines, minutes_ago,
    options, produce, read, sums,
};
use model::{Postcode, Reason, Window, dead_letter, topic};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};
use serde_json::Value;
use stack::Stack;

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
/// Events of one client in one codec, enough to be compressed.
const EVENTS: u32 = 50;

/// Names and values that are no UTF-8, a name that repeats, an empty one, and no value.
const ODD_HEADERS: [ForeignHeader; 5] = [
    (b"trace", Some(b"1")),
    (b"\xff\xfename", Some(b"\xc3\x28")),
    (b"trace", None),
    (b"", Some(b"")),
    // Whoever reads dead letters must not believe this one.
    (b"dead-letter-reason", Some(b"none at all")),
];
/// The same names as text.
const ODD_NAMES: [&str; 5] = ["trace", "\u{fffd}\u{fffd}name", "trace", "", "dead-letter-reason"];

#[tokio::test]
async fn records_of_others_are_counted_by_what_they_say_or_kept_as_they_are() -> Result<()> {
    let stack = Stack::start(options("foreign")?).await?;
    let minute = minutes_ago(5)?;
    let java = async {
        for codec in CODECS {
            produce_by_java(&stack, codec, minute).await?;
        }
        anyhow::Ok(())
    };
    let others = async {
        for codec in CODECS {
            let events = (0..EVENTS).map(|_| keyed(&postcode_of(codec), minute));
            produce(&stack, topic::PAGEVIEWS, codec, events.collect()).await?;
        }
        produce(&stack, topic::PAGEVIEWS, "none", pageviews(minute).collect()).await?;
        let garbage = garbage(minute).into_iter().map(|(record, _)| record);
        produce(&stack, topic::PAGEVIEWS, "lz4", garbage.collect()).await
    };
    tokio::try_join!(java, others)?;

    // Once the audit has seen everything arrive, what is there is all there will be.
    println!("{}", audit_ledger(&stack).await?);
    let written = read(&stack, topic::PAGEVIEWS, Written::new(), |written, record| {
        let [key, value] = [record.key(), record.payload()].map(|bytes| bytes.map(<[u8]>::to_vec));
        written.insert((record.partition(), record.offset()), (key, value));
        Ok(())
    })
    .await?;
    ensure!(sums(&stack).await? == expected_counts(minute)?, "counted: {:?}", sums(&stack).await?);
    both_clients_put_a_postcode_into_the_same_partition(&written)?;
    dead_letters_are_as_they_came(&stack, &written, minute).await?;
    the_bucket_has_every_record_once(&stack, &written).await?;
    one_postcode_in_two_partitions_adds_up(&stack, minute).await?;
    stack.stop().await?;
    Ok(())
}

/// Every record in `pageviews` by partition and offset: its key and value.
type Written = BTreeMap<(i32, i64), (Option<Vec<u8>>, Option<Vec<u8>>)>;

fn event(postcode: &str, minute: Window) -> Vec<u8> {
    let event = README_EVENT.trim_end().replace("SW19", postcode);
    event.replace("1611662684", &minute.start().0.to_string()).into_bytes()
}

fn keyed(postcode: &str, minute: Window) -> Foreign {
    Foreign {
        key: Some(postcode.to_owned().into_bytes()),
        value: Some(event(postcode, minute)),
        ..Foreign::default()
    }
}

/// A postcode for what is compressed by `codec`.
fn postcode_of(codec: &str) -> String {
    codec.to_uppercase()
}

/// Apache Kafka's own client, with all its defaults: keyed events, and one without key.
async fn produce_by_java(stack: &Stack, codec: &str, minute: Window) -> Result<()> {
    let json = |postcode: &str| String::from_utf8(event(postcode, minute));
    let postcode = postcode_of(codec);
    let mut input = format!("{postcode}\t{}\n", json(&postcode)?).repeat(EVENTS as usize);
    input += &format!("null\t{}\n", json(&format!("{postcode} J"))?);
    let mut arguments = vec!["--topic", topic::PAGEVIEWS, "--compression-codec", codec];
    for property in ["parse.key=true", "null.marker=null"] {
        arguments.extend(["--reader-property", property]);
    }
    let output =
        stack.kafka_tool("org.apache.kafka.tools.ConsoleProducer", &arguments, input.as_bytes()).await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// Pageviews that do not look like ours, each of its own postcode, `ODD 0` and so on.
fn pageviews(minute: Window) -> impl Iterator<Item = Foreign> {
    let json = |number: usize| event(&format!("odd {number}"), minute);
    let with_spaces = |number| String::from_utf8_lossy(&json(number)).replace(',', ",\r\n\t").into_bytes();
    let value = |number| Foreign { value: Some(json(number)), ..Foreign::default() };
    let ahead =
        |number, by: i64| Foreign { timestamp: Some((minute.start().0 - by) * 1000), ..value(number) };
    [
        value(0),
        Foreign { key: Some(b"SW19".to_vec()), ..value(1) },
        Foreign { key: Some(b"\xff\x00".to_vec()), ..value(2) },
        Foreign { key: Some(Vec::new()), ..value(3) },
        Foreign { headers: ODD_HEADERS.to_vec(), ..value(4) },
        Foreign { value: Some(with_spaces(5)), ..Foreign::default() },
        // As far ahead of its record as the guard allows: the setting, and a minute.
        ahead(6, 360),
    ]
    .into_iter()
}

/// What cannot be counted, and why.
fn garbage(minute: Window) -> Vec<(Foreign, Reason)> {
    let with = |key: &str, value: Option<&[u8]>| Foreign {
        key: Some(key.as_bytes().to_vec()),
        value: value.map(<[u8]>::to_vec),
        ..Foreign::default()
    };
    let wrong = |from: &str, to: &str| {
        let json = String::from_utf8_lossy(&event("SW19", minute)).replace(from, to).into_bytes();
        with("wrong", Some(&json))
    };
    let ahead = Foreign { timestamp: Some((minute.start().0 - 361) * 1000), ..keyed("SW19", minute) };
    vec![
        (with("tombstone", None), Reason::Tombstone),
        (Foreign::default(), Reason::Tombstone),
        (with("empty", Some(b"")), Reason::MalformedJson),
        (with("blank", Some(b" \t ")), Reason::MalformedJson),
        (with("bytes", Some(b"\xff\x00\xfe\x80")), Reason::MalformedJson),
        (with("lines", Some(b"one\ntwo\r\nthree")), Reason::MalformedJson),
        (with("avro", Some(b"\x00\x00\x00\x00\x01\x02SW19")), Reason::MalformedJson),
        (with("large", Some(&vec![b'x'; 900_000])), Reason::TooLarge),
        (with("array", Some(b"[1]")), Reason::NotAnObject),
        (Foreign { headers: ODD_HEADERS.to_vec(), ..with("headers", Some(b"{")) }, Reason::MalformedJson),
        (wrong("SW19", "SW19!"), Reason::InvalidPostcode),
        (wrong("webpage", "page"), Reason::MissingField),
        (wrong("\"timestamp\":", "\"timestamp\":1000000000000,\"time\":"), Reason::TimestampInMilliseconds),
        (ahead, Reason::TimestampInFuture),
    ]
}

fn expected_counts(minute: Window) -> Result<Counts> {
    let mut counts = Counts::new();
    let mut expect = |postcode: &str, count: u32| {
        counts.insert((Postcode::parse(postcode)?, minute), u64::from(count));
        anyhow::Ok(())
    };
    for codec in CODECS.map(postcode_of) {
        // By librdkafka, and by Java.
        expect(&codec, 2 * EVENTS)?;
        expect(&format!("{codec} J"), 1)?;
    }
    for number in 0..pageviews(minute).count() {
        expect(&format!("ODD {number}"), 1)?;
    }
    Ok(counts)
}

fn both_clients_put_a_postcode_into_the_same_partition(written: &Written) -> Result<()> {
    for postcode in CODECS.map(postcode_of) {
        let of_postcode = written.iter().filter(|(_, (key, _))| key.as_deref() == Some(postcode.as_bytes()));
        let mut partitions: Vec<i32> = of_postcode.map(|((partition, _), _)| *partition).collect();
        partitions.dedup();
        ensure!(partitions.len() == 1, "{postcode} is in the partitions {partitions:?}");
    }
    Ok(())
}

/// A dead letter: key, value, the headers it came with, and the reason.
type DeadLetter = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>, String);

async fn dead_letters_are_as_they_came(stack: &Stack, written: &Written, minute: Window) -> Result<()> {
    let found = read(stack, topic::DEAD_LETTERS, Vec::new(), |found, record| {
        found.push(dead_letter_in(record)?);
        Ok(())
    })
    .await?;
    for (place, (key, value, ..)) in &found {
        let original = written.get(place).with_context(|| format!("nothing is at {place:?}"))?;
        ensure!((key, value) == (&original.0, &original.1), "the dead letter of {place:?} is another record");
    }
    let mut found: Vec<DeadLetter> = found.into_iter().map(|(_, letter)| letter).collect();
    let mut expected: Vec<DeadLetter> = garbage(minute)
        .into_iter()
        .map(|(record, reason)| {
            let values = record.headers.iter().map(|(_, value)| value.map(<[u8]>::to_vec));
            let headers = ODD_NAMES.map(str::to_owned).into_iter().zip(values).collect();
            (record.key, record.value, headers, reason.as_str().to_owned())
        })
        .collect();
    found.sort();
    expected.sort();
    ensure!(found == expected, "{:?}", summaries(&found));
    Ok(())
}

/// Without the bytes, of which there may be many.
fn summaries(letters: &[DeadLetter]) -> Vec<String> {
    let text = |bytes: &Option<Vec<u8>>| {
        bytes.as_deref().map(String::from_utf8_lossy).map(|text| text[..text.len().min(40)].to_owned())
    };
    letters
        .iter()
        .map(|(key, value, headers, reason)| {
            format!("{reason}: {:?} {:?} {headers:?}", text(key), text(value))
        })
        .collect()
}

/// Where the original lies, and the dead letter. Our headers are behind those that it came with.
fn dead_letter_in(record: &BorrowedMessage<'_>) -> Result<((i32, i64), DeadLetter)> {
    let headers = record.headers().context("no headers")?;
    let mut headers: Vec<_> =
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect();
    let ours = headers.split_off(headers.len().saturating_sub(4));
    let names = ours.iter().map(|(name, _)| name.as_str());
    ensure!(
        names.eq([dead_letter::REASON, dead_letter::TOPIC, dead_letter::PARTITION, dead_letter::OFFSET]),
        "{ours:?}"
    );
    let texts = ours.into_iter().map(|(_, value)| Ok(String::from_utf8(value.unwrap_or_default())?));
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    ensure!(texts[1] == topic::PAGEVIEWS, "{texts:?}");
    let place = (texts[2].parse()?, texts[3].parse()?);
    let [key, value] = [record.key(), record.payload()].map(|bytes| bytes.map(<[u8]>::to_vec));
    Ok((place, (key, value, headers, texts[0].clone())))
}

/// A line in `raw/`, or an envelope in `dead-letter/raw/` for what is no line.
async fn the_bucket_has_every_record_once(stack: &Stack, written: &Written) -> Result<()> {
    let is_line = |value: &Option<Vec<u8>>| {
        let no_break = |value: &Vec<u8>| !value.contains(&b'\n') && !value.contains(&b'\r');
        value.as_ref().is_some_and(|value| !value.trim_ascii().is_empty() && no_break(value))
    };
    let mut raw = byte_lines(stack, "raw/").await?;
    let values = written.values().filter(|(_, value)| is_line(value));
    let mut expected: Vec<Vec<u8>> = values.filter_map(|(_, value)| value.clone()).collect();
    raw.sort();
    expected.sort();
    ensure!(raw == expected, "{} lines are in raw/, expected are {}", raw.len(), expected.len());

    let bytes = |value: &Value| value.as_str().map(|text| STANDARD.decode(text)).transpose();
    let mut envelopes = Written::new();
    let found = lines(stack, "dead-letter/raw/").await?;
    for envelope in &found {
        let place = (
            i32::try_from(envelope["partition"].as_i64().unwrap_or(-1))?,
            envelope["offset"].as_i64().unwrap_or(-1),
        );
        envelopes.insert(place, (bytes(&envelope["key_base64"])?, bytes(&envelope["value_base64"])?));
    }
    let others: Written = written
        .iter()
        .filter(|(_, (_, value))| !is_line(value))
        .map(|(place, record)| (*place, record.clone()))
        .collect();
    ensure!(envelopes == others && found.len() == others.len(), "in dead-letter/raw/: {found:?}");
    Ok(())
}

/// Under foreign keys the events of a postcode may be in several partitions, each of which counts them apart: the rows
/// add up.
async fn one_postcode_in_two_partitions_adds_up(stack: &Stack, minute: Window) -> Result<()> {
    let (mut expected, next) = (expected_counts(minute)?, Window::containing(minute.end()));
    let in_partition = |partition| Foreign { partition: Some(partition), ..keyed("SW19", next) };
    let records: Vec<_> = (0..topic::PARTITIONS).map(in_partition).collect();
    expected.insert((Postcode::parse("SW19")?, next), records.len() as u64);
    produce(stack, topic::PAGEVIEWS, "none", records).await?;
    eventually("the sum", Duration::from_secs(30), async || {
        let sums = sums(stack).await?;
        ensure!(sums == expected, "counted: {sums:?}");
        Ok(Some(()))
    })
    .await
}
