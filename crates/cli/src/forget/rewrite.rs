//! An object without the events of some users: the same format, the other records byte for byte.

use std::borrow::Cow;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use s3_sink::checksum::Hasher;
use s3_sink::decode::{Decoded, decode};
use s3_sink::encode::{Text, Tools, retain};
use s3_sink::forgotten::Remains;
use s3_sink::format::{self, Format};
use s3_sink::offsets::Offsets;

use super::users::Users;

/// What an object is to hold from now on.
#[derive(Debug, Clone)]
pub(super) struct Rewritten {
    /// Its body.
    pub(super) body: Bytes,
    /// How many records it loses.
    pub(super) removed: u64,
    /// What is left.
    pub(super) remains: Remains,
}

/// The object `key` without the events of `users`; `None` if it holds none. `offsets` are those of its records, where
/// the ledger tells.
///
/// # Errors
/// When it is damaged, or nobody tells the offsets of its records, without which what is left could never be checked
/// again.
pub(super) fn without(
    users: &Users,
    key: &str,
    body: &Bytes,
    offsets: Option<&Offsets>,
) -> anyhow::Result<Option<Rewritten>> {
    let mut keep = Vec::new();
    decode(key, body.clone(), |record| {
        keep.push(!users.own(record.value.as_deref()));
        anyhow::Ok(())
    })?;
    let removed = keep.iter().filter(|kept| !**kept).count() as u64;
    if removed == 0 {
        return Ok(None);
    }
    if let Some(told) = offsets.map(Offsets::count) {
        ensure!(told == keep.len() as u64, "it holds {} records, and the ledger says {told}", keep.len());
    }
    let mut lines = match format::of(key) {
        None | Some(Format::Parquet) => None,
        Some(format) => Some((Text::new(format), Tools::new())),
    };
    let (mut checksum, mut kept) = (Hasher::default(), Offsets::default());
    let (mut is_kept, mut told) = (keep.iter(), offsets.iter().flat_map(|offsets| offsets.iter()));
    decode(key, body.clone(), |record| {
        let told = told.next();
        if is_kept.next() != Some(&true) {
            return anyhow::Ok(());
        }
        let offset = record.offset.or(told).context(
            "the ledger does not tell the offsets of its records, so what would be left of it could never be checked \
             again: --day deletes it",
        )?;
        checksum.record(offset, record.value.as_deref());
        kept.push(offset);
        if let Some((file, tools)) = &mut lines {
            file.line(&line(&record), tools)?;
        }
        Ok(())
    })?;
    let body = match lines {
        Some((file, mut tools)) => file.finish(&mut tools)?,
        None => retain(body.clone(), &keep)?,
    };
    let (records, checksum) = (kept.count(), checksum.finish());
    // Nothing has no offsets to be told.
    let offsets = (records > 0).then_some(kept);
    Ok(Some(Rewritten { body: body.into(), removed, remains: Remains { records, checksum, offsets } }))
}

/// A record as a line: its value, or all that is known of a dead letter.
fn line<'a>(record: &'a Decoded<'_>) -> Cow<'a, [u8]> {
    match record.envelope {
        Some(envelope) => Cow::Owned(envelope.to_json()),
        None => Cow::Borrowed(record.bytes()),
    }
}

#[cfg(test)]
mod tests {
    use model::EpochMillis;
    use s3_sink::envelope::Envelope;
    use s3_sink::record::{NO_HEADERS, Record};

    use super::*;

    const EVENTS: [&str; 4] = [
        r#"{"user_id":1,"postcode":"N1","webpage":"a","timestamp":0}"#,
        r#"{"user_id":2,"postcode":"N1","webpage":"a","timestamp":0}"#,
        r#"{ "user_id": 1, "postcode": "??" }"#,
        r#"{"user_id":3,"postcode":"N1","webpage":"a","timestamp":0}"#,
    ];

    fn file(key: &str, lines: &[&str]) -> Bytes {
        let (mut file, mut tools) = (Text::new(format::of(key).unwrap()), Tools::new());
        lines.iter().for_each(|line| file.line(line.as_bytes(), &mut tools).unwrap());
        file.finish(&mut tools).unwrap().into()
    }

    fn offsets() -> Offsets {
        "10-12,15-17".parse().unwrap()
    }

    fn forget(
        ids: &[u64],
        key: &str,
        body: &Bytes,
        offsets: Option<&Offsets>,
    ) -> anyhow::Result<Option<Rewritten>> {
        without(&ids.iter().copied().collect(), key, body, offsets)
    }

    #[test]
    fn the_others_stay_as_they_are_in_every_format_of_lines() {
        for key in ["raw/x.ndjson", "raw/x.ndjson.gz", "raw/x.ndjson.zst"] {
            let body = file(key, &EVENTS);
            let rewritten = forget(&[1], key, &body, Some(&offsets())).unwrap().unwrap();
            assert_eq!((rewritten.removed, rewritten.remains.records), (2, 2), "{key}");
            assert_eq!(rewritten.remains.offsets, Some("11-12,16-17".parse().unwrap()));
            let mut expected = Hasher::default();
            expected.record(11, Some(EVENTS[1].as_bytes()));
            expected.record(16, Some(EVENTS[3].as_bytes()));
            assert_eq!(rewritten.remains.checksum, expected.finish(), "{key}");
            assert_eq!(rewritten.body, file(key, &[EVENTS[1], EVENTS[3]]), "{key}");
            assert!(forget(&[4], key, &body, Some(&offsets())).unwrap().is_none());
            let again = forget(&[3], key, &rewritten.body, rewritten.remains.offsets.as_ref());
            assert_eq!(again.unwrap().unwrap().remains.offsets, Some(Offsets::run(11, 12)), "{key}");
        }
    }

    #[test]
    fn an_object_of_theirs_alone_becomes_an_empty_file() {
        for key in ["raw/x.ndjson", "raw/x.ndjson.gz", "raw/x.ndjson.zst"] {
            let rewritten = forget(&[1, 2, 3], key, &file(key, &EVENTS), Some(&offsets())).unwrap().unwrap();
            assert_eq!((rewritten.removed, rewritten.remains.records), (4, 0));
            assert_eq!(rewritten.remains.offsets, None);
            assert!(forget(&[1], key, &rewritten.body, None).unwrap().is_none(), "{key} can be read");
        }
    }

    #[test]
    fn an_envelope_tells_its_offset_itself() {
        let key = "dead-letter/raw/x.ndjson.gz";
        let envelope = |offset, value: &'static str| {
            let value = Some(value.as_bytes());
            let record = Record { offset, timestamp: EpochMillis(0), key: None, value, headers: &NO_HEADERS };
            String::from_utf8(Envelope::new("pageviews", 0, &record, "line_break").to_json()).unwrap()
        };
        let (theirs, other) = (envelope(3, "{\"user_id\":\n1}"), envelope(8, "{\"user_id\":\n2}"));
        let body = file(key, &[&theirs, &other]);
        let rewritten = forget(&[1], key, &body, None).unwrap().unwrap();
        assert_eq!(rewritten.remains.offsets, Some(Offsets::run(8, 9)));
        assert_eq!(rewritten.body, file(key, &[&other]));
    }

    #[test]
    fn what_could_never_be_checked_again_is_refused() {
        let (key, body) = ("raw/x.ndjson", file("raw/x.ndjson", &EVENTS));
        assert!(forget(&[1], key, &body, None).is_err(), "no offsets");
        assert!(forget(&[1], key, &body, Some(&Offsets::run(0, 5))).is_err(), "other offsets");
        assert!(forget(&[1], "raw/x.parquet", &Bytes::from_static(b"PAR1"), None).is_err());
        assert!(forget(&[1], "raw/x.ndjson", &Bytes::from_static(b"{}"), None).is_err(), "cut short");
    }
}
