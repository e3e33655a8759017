//! One pageview, parsed from the bytes that a client sent.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};

use crate::explain::{explain, known_fields};
use crate::scan::{Scanned, scan, scan_first};
use crate::{EpochMillis, EpochSeconds, Postcode, Reason, Window};

/// A valid pageview. Unknown fields are allowed and ignored here; they stay in the record's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pageview<'a> {
    /// Who looked.
    pub user_id: u64,
    /// From where: the key of the record and of the count.
    pub postcode: Postcode,
    /// At what, 1 to 2048 bytes.
    pub webpage: Cow<'a, str>,
    /// When: the event time.
    pub timestamp: EpochSeconds,
    /// A retry with the same id counts once while its window is open.
    pub event_id: Option<Cow<'a, str>>,
}

impl<'a> Pageview<'a> {
    /// The most bytes that one event's JSON may have.
    pub const MAX_BYTES: usize = 64 * 1024;
    /// The most bytes of a `webpage`.
    pub const MAX_WEBPAGE_BYTES: usize = 2048;
    /// The most characters of an `event_id`.
    pub const MAX_EVENT_ID_LEN: usize = 64;

    /// Parses one event: UTF-8 JSON, the known fields valid and none of them twice.
    ///
    /// # Errors
    /// The first [`Reason`] found; [`explain`] tells all of them in words.
    pub fn parse(json: &'a [u8]) -> Result<Self, Reason> {
        if json.len() > Self::MAX_BYTES {
            return Err(Reason::TooLarge);
        }
        scan(json).map_or_else(|| parse_slowly(json), Ok)
    }

    /// The event that `bytes` start with, whatever follows it, if it is one of the usual shape: a flat object without
    /// escapes. `None` says nothing about it: find its end, and ask [`Pageview::parse`].
    #[must_use]
    pub fn parse_first(bytes: &'a [u8]) -> Option<Scanned<'a>> {
        scan_first(bytes).filter(|scanned| scanned.len <= Self::MAX_BYTES)
    }

    /// The minute it counts in.
    #[must_use]
    pub fn window(&self) -> Window {
        Window::containing(self.timestamp)
    }

    /// Whether its event time is more than `allowed` ahead of `now`.
    #[must_use]
    pub fn is_ahead_of(&self, now: EpochMillis, allowed: Duration) -> bool {
        self.timestamp.to_millis() > now.plus(allowed)
    }
}

/// By the whole grammar of JSON.
pub(crate) fn parse_slowly(json: &[u8]) -> Result<Pageview<'_>, Reason> {
    let text = std::str::from_utf8(json).map_err(|_| Reason::MalformedJson)?;
    serde_json::from_str::<Wire<'_>>(text)
        .ok()
        .and_then(Wire::into_pageview)
        .ok_or_else(|| explain(json).first().map_or(Reason::MalformedJson, |error| error.reason))
}

/// The JSON object as serde sees it: types are checked here, ranges in [`Wire::into_pageview`].
#[derive(Deserialize)]
struct Wire<'a> {
    user_id: u64,
    #[serde(borrow)]
    postcode: Text<'a>,
    #[serde(borrow)]
    webpage: Text<'a>,
    timestamp: i64,
    #[serde(borrow, default)]
    event_id: Option<Text<'a>>,
}

impl<'a> Wire<'a> {
    fn into_pageview(self) -> Option<Pageview<'a>> {
        let valid = valid_webpage(&self.webpage.0)
            && valid_timestamp(self.timestamp)
            && self.event_id.as_ref().is_none_or(|id| valid_event_id(&id.0));
        let postcode = Postcode::parse(&self.postcode.0).ok()?;
        valid.then(|| Pageview {
            user_id: self.user_id,
            postcode,
            webpage: self.webpage.0,
            timestamp: EpochSeconds(self.timestamp),
            event_id: self.event_id.map(|id| id.0),
        })
    }
}

pub(crate) fn valid_webpage(text: &str) -> bool {
    (1..=Pageview::MAX_WEBPAGE_BYTES).contains(&text.len())
}

pub(crate) fn valid_timestamp(seconds: i64) -> bool {
    (0..=EpochSeconds::MAX.0).contains(&seconds)
}

pub(crate) fn valid_event_id(text: &str) -> bool {
    (1..=Pageview::MAX_EVENT_ID_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A JSON string, borrowed from the input unless it has escapes (serde borrows a plain `Cow` only, not one in an `Option`).
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The event on one line, so that it is one line of NDJSON: CR and LF become spaces, all other bytes stay.
/// In valid JSON both occur only between tokens (RFC 8259, section 7).
#[must_use]
pub fn one_line(json: &[u8]) -> Cow<'_, [u8]> {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if json.iter().any(breaks) {
        Cow::Owned(json.iter().map(|byte| if breaks(byte) { b' ' } else { *byte }).collect())
    } else {
        Cow::Borrowed(json)
    }
}

/// The event with this `event_id`, for one that is valid and has none: everything else stays as it was sent.
#[must_use]
pub fn with_event_id(json: &[u8], id: &str) -> Vec<u8> {
    let id = serde_json::Value::from(id).to_string();
    let (place, text) = match null_event_id(json) {
        Some(null) => (null, id),
        None => {
            // A valid event ends with its brace, and has fields before it.
            let brace = json.iter().rposition(|byte| *byte == b'}').unwrap_or(json.len());
            (brace..brace, format!(r#","event_id":{id}"#))
        }
    };
    [&json[..place.start], text.as_bytes(), &json[place.end..]].concat()
}

/// Where the event says `"event_id":null`: the place of the `null`.
fn null_event_id(json: &[u8]) -> Option<Range<usize>> {
    if scan(json).is_some() {
        // The usual shape has no null there, and no other parser need be asked.
        return None;
    }
    let value = known_fields(json)?.into_iter().find(|(field, _)| *field == "event_id")?.1.get();
    let start = value.as_ptr().addr() - json.as_ptr().addr();
    Some(start..start + value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_is_added_or_takes_the_place_of_null() {
        let rest = r#""user_id":1,"postcode":"N1","webpage":"a","timestamp":0"#;
        let escaped = format!(r#"{{{rest},"event\u005fid":null,"x":"}}\n"}}"#);
        for json in [format!("{{{rest}}}"), format!("{{{rest}\n }} "), escaped] {
            let with = with_event_id(json.as_bytes(), r#"a"b:0"#);
            let pageview = Pageview::parse(&with).unwrap();
            assert_eq!(pageview.event_id.as_deref(), Some(r#"a"b:0"#), "{json}");
            assert_eq!((pageview.user_id, pageview.webpage.as_ref()), (1, "a"));
        }
    }

    #[test]
    fn the_fixtures_are_valid() {
        let plain = Pageview::parse(include_bytes!("../fixtures/pageview.json")).unwrap();
        assert_eq!((plain.user_id, plain.postcode.as_str()), (1234, "SW19"));
        assert_eq!(plain.window().to_string(), "2021-01-26T12:04:00");
        assert_eq!(plain.event_id, None);

        let full = Pageview::parse(include_bytes!("../fixtures/pageview-full.json")).unwrap();
        assert_eq!((full.user_id, full.postcode.as_str()), (u64::MAX, "SW19 4AA"));
        assert_eq!(full.webpage, "www.website.com/café?q=\"x\"");
        assert!(full.event_id.is_some());
    }

    #[test]
    fn a_key_written_with_escapes_is_the_key() {
        let json = br#"{"user_\u0069d":1,"postcode":"N1","webpage":"a","timestamp":0}"#;
        assert_eq!(Pageview::parse(json).unwrap().user_id, 1);
    }

    #[test]
    fn an_event_id_of_null_is_no_event_id() {
        let json = br#"{"user_id":1,"postcode":"N1","webpage":"a","timestamp":0,"event_id":null}"#;
        assert_eq!(Pageview::parse(json).unwrap().event_id, None);
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces() {
        assert_eq!(one_line(b"{\r\n\"a\":\"\\n\"\n}").as_ref(), b"{  \"a\":\"\\n\" }");
        assert!(matches!(one_line(b"{}"), Cow::Borrowed(_)));
    }

    #[test]
    fn ahead_is_measured_in_milliseconds() {
        let event = Pageview::parse(include_bytes!("../fixtures/pageview.json")).unwrap();
        let now = EpochMillis(1_611_662_684_000 - 300_000);
        assert!(!event.is_ahead_of(now, Duration::from_secs(300)));
        assert!(event.is_ahead_of(EpochMillis(now.0 - 1), Duration::from_secs(300)));
    }
}
