//! The records of an object, whatever it was written as: the other way round than [`crate::encode`], for whoever audits,
//! sums up or rewrites what lies in the bucket.
//!
//! | below | in | an offset is known by |
//! | --- | --- | --- |
//! | `dead-letter/` | envelopes, `ndjson.gz` | the envelope |
//! | elsewhere | `ndjson`, `ndjson.gz`, `ndjson.zst` | the ledger, [`crate::ledger::Object::offsets_in`] |
//! | elsewhere | `parquet` | its column |
//!
//! Nothing is kept: beside the body itself, memory does not depend on the size of an object.

mod columns;

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Cursor};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

use crate::envelope::Envelope;
use crate::format::{self, Format};

/// How much text is unpacked at a time.
const BUFFER: usize = 1 << 16;

/// One record of an object.
#[derive(Debug, Clone)]
pub struct Decoded<'a> {
    /// Its offset, where the object itself tells.
    pub offset: Option<i64>,
    /// Its value as it lies in Kafka; `None` is a tombstone.
    pub value: Option<Cow<'a, [u8]>>,
    /// All that is known of a dead letter.
    pub envelope: Option<&'a Envelope>,
}

impl Decoded<'_> {
    /// Its value, empty for a tombstone.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.value.as_deref().unwrap_or_default()
    }
}

/// Why an object has no records to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No release has written such objects, or a later one.
    #[error("this release reads {} only", Format::ALL.map(Format::name).join(", "))]
    Format,
    /// Its bytes are not what its name says.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl Error {
    fn damaged(why: impl ToString) -> Self {
        Self::Damaged(why.to_string())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::damaged(error)
    }
}

/// Calls `each` with the records of the object `key`, whose bytes are `body`, in their order.
///
/// # Errors
/// [`Error`] when it cannot be read, to the end, as what its key says; and the first that `each` returns.
pub fn decode<E: From<Error>>(
    key: &str,
    body: Bytes,
    mut each: impl FnMut(Decoded<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let format = format::of(key).ok_or(Error::Format)?;
    if format == Format::Parquet {
        return columns::decode(body, each);
    }
    let lines = lines(format, body).map_err(Error::from)?;
    if key.starts_with("dead-letter/") {
        return for_each_line(lines, |line| {
            let envelope = Envelope::parse(line).map_err(Error::damaged)?;
            let value = envelope.value().map_err(Error::damaged)?;
            let (offset, value) = (Some(envelope.offset), value.map(Cow::Owned));
            each(Decoded { offset, value, envelope: Some(&envelope) })
        });
    }
    for_each_line(lines, |line| {
        each(Decoded { offset: None, value: Some(Cow::Borrowed(line)), envelope: None })
    })
}

/// The text of a file of lines. What was written in several gzip members or Zstandard frames is one text.
fn lines(format: Format, body: Bytes) -> io::Result<Box<dyn BufRead>> {
    let body = Cursor::new(body);
    Ok(match format {
        Format::NdjsonGz => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(body))),
        Format::NdjsonZst => {
            Box::new(BufReader::with_capacity(BUFFER, zstd::stream::read::Decoder::with_buffer(body)?))
        }
        Format::Ndjson | Format::Parquet => Box::new(body),
    })
}

/// Calls `each` with every line, its line break left out. A last line without one was cut off.
fn for_each_line<E: From<Error>>(
    mut lines: Box<dyn BufRead>,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(Error::from)? > 0 {
        let cut_off = || Error::damaged("its last line has no end");
        each(line.strip_suffix(b"\n").ok_or_else(cut_off)?)?;
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use model::EpochMillis;

    use super::*;
    use crate::Kind;
    use crate::encode::{File, Tools};
    use crate::record::{NO_HEADERS, Record};
    use crate::route::Router;

    /// A record's offset, where it is known, and its value as text.
    pub(super) type Text = (Option<i64>, Option<String>);

    /// What an object holds.
    pub(super) fn read(key: &str, body: Vec<u8>) -> Result<Vec<Text>, Error> {
        let mut found = Vec::new();
        decode(key, body.into(), |record| {
            let text = |value: Cow<'_, [u8]>| String::from_utf8(value.into_owned()).expect("text");
            found.push((record.offset, record.value.map(text)));
            Ok::<_, Error>(())
        })?;
        Ok(found)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::stream::encode_all(text.as_bytes(), 1).unwrap()
    }

    fn texts(key: &str, body: Vec<u8>) -> Vec<String> {
        read(key, body).unwrap().into_iter().map(|(_, value)| value.expect("a value")).collect()
    }

    #[test]
    fn lines_come_out_of_every_format_of_lines() {
        assert_eq!(texts("raw/x.ndjson", b"a\nbb\n".to_vec()), ["a", "bb"]);
        assert_eq!(texts("raw/x.ndjson.gz", [gzip("a\nbb\n"), gzip("ccc\n")].concat()), ["a", "bb", "ccc"]);
        assert_eq!(texts("late/x.ndjson.zst", [zstd("a\nb"), zstd("b\nccc\n")].concat()), ["a", "bb", "ccc"]);
        assert!(texts("raw/x.ndjson", vec![]).is_empty());
    }

    #[test]
    fn what_is_cut_short_is_an_error_and_not_less_data() {
        for (key, body) in [
            ("x.ndjson", b"a\nbb\n".to_vec()),
            ("x.ndjson.gz", [gzip("a\n"), gzip("bb\n")].concat()),
            ("x.ndjson.zst", [zstd("a\n"), zstd("bb\n")].concat()),
        ] {
            let cut = body[..body.len() - 1].to_vec();
            assert!(read(key, body).is_ok(), "{key}");
            assert!(matches!(read(key, cut), Err(Error::Damaged(_))), "{key}");
        }
    }

    #[test]
    fn what_no_release_wrote_is_not_guessed_at() {
        for key in ["raw/x.csv", "raw/ndjson", "raw/xparquet", "raw/_SUCCESS", "raw/x.ndjson.gz.old"] {
            assert!(matches!(read(key, b"a\n".to_vec()), Err(Error::Format)), "{key}");
        }
        let words = Error::Format.to_string();
        assert_eq!(words, "this release reads ndjson, ndjson.gz, ndjson.zst, parquet only");
    }

    #[test]
    fn envelopes_tell_offset_and_value_also_of_a_tombstone() {
        let line = |offset, value| {
            let (timestamp, headers) = (EpochMillis(0), &NO_HEADERS);
            let record = Record { offset, timestamp, key: None, value, headers };
            let line = Envelope::new("pageviews", 3, &record, "line_break").to_json();
            String::from_utf8(line).unwrap() + "\n"
        };
        let file = gzip(&(line(7, Some(b"{\n}")) + &line(9, None)));
        let found = read("dead-letter/raw/dt=2026-11-24/x.ndjson.gz", file).unwrap();
        assert_eq!(found, [(Some(7), Some("{\n}".to_owned())), (Some(9), None)]);
        let damaged = read("dead-letter/raw/x.ndjson", b"{}\n".to_vec());
        assert!(matches!(damaged, Err(Error::Damaged(_))), "{damaged:?}");
    }

    /// Two good records of `kind`, the second of another form than ours.
    fn values(kind: Kind) -> [&'static str; 2] {
        match kind {
            Kind::Raw => [
                r#"{"user_id":1,"postcode":"sw19","webpage":"a","timestamp":60}"#,
                r#"{"timestamp":60, "user_id":2, "postcode":" N1", "webpage":"b", "x":"é"}"#,
            ],
            _ => [
                r#"{"postcode":"SW19","window_start":"2021-01-26T12:04:00","pageview_count":42}"#,
                r#"{ "pageview_count":1, "postcode":"n1", "window_start":"2021-01-26T12:05:00" }"#,
            ],
        }
    }

    #[test]
    fn what_the_sink_writes_is_read_back_in_every_format() {
        let kinds = [Kind::Raw, Kind::Aggregates, Kind::Late].into_iter();
        for (kind, format) in kinds.flat_map(|kind| Format::ALL.map(|format| (kind, format))) {
            let (router, mut tools, mut file) = (Router::new(kind, format), Tools::new(), File::new(format));
            let written = [7, 9].into_iter().zip(values(kind));
            for (offset, value) in written.clone() {
                let (timestamp, headers) = (EpochMillis(1_795_525_200_123), &NO_HEADERS);
                let record = Record { offset, timestamp, key: None, value: Some(value.as_bytes()), headers };
                file.push(&record, &router.route(&record), 3, &mut tools).unwrap();
            }
            let key = format!("{}/dt=2021-01-26/x.{}", kind.folder().unwrap(), format.name());
            let found = read(&key, file.finish(&mut tools).unwrap()).unwrap();
            let is_told = format == Format::Parquet;
            let expected: Vec<_> =
                written.map(|(offset, value)| (is_told.then_some(offset), Some(value.to_owned()))).collect();
            assert_eq!(found, expected, "{key}");
        }
    }

    #[test]
    fn whoever_reads_may_stop() {
        let stopped = decode("x.ndjson", Bytes::from_static(b"a\nb\n"), |_| Err(Error::damaged("enough")));
        assert_eq!(stopped.unwrap_err().to_string(), "it is damaged: enough");
    }
}
