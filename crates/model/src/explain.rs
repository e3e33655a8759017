//! The slow path for events that [`crate::Pageview::parse`] refuses: every fault, in words that say what to change.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::pageview::{Pageview, Text, valid_event_id, valid_timestamp, valid_webpage};
use crate::{EpochSeconds, Postcode, Reason};

/// One fault of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field at fault; empty when it is the event as a whole.
    pub field: &'static str,
    /// The kind of fault.
    pub reason: Reason,
    /// What to change, in words.
    pub detail: String,
}

const FIELDS: [&str; 5] = ["user_id", "postcode", "webpage", "timestamp", "event_id"];

const USER_ID: &str = "must be a whole number from 0 to 18446744073709551615";
const WEBPAGE: &str = "must be a string of 1 to 2048 bytes";
const TIMESTAMP: &str = "must be whole seconds since 1970-01-01T00:00:00Z, such as 1611662684";
const EVENT_ID: &str = "must be a string of 1 to 64 visible ASCII characters";

/// All faults of the event `json`; none if it is valid.
#[must_use]
pub fn explain(json: &[u8]) -> Vec<FieldError> {
    if json.len() > Pageview::MAX_BYTES {
        let detail =
            format!("is {} bytes long: one event may have at most {}", json.len(), Pageview::MAX_BYTES);
        return whole(Reason::TooLarge, detail);
    }
    let text = match std::str::from_utf8(json) {
        Ok(text) => text,
        Err(error) => return whole(Reason::MalformedJson, format!("is not UTF-8: {error}")),
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let fields = match reader.deserialize_map(KnownFields).and_then(|fields| reader.end().map(|()| fields)) {
        Ok(fields) => fields,
        Err(error) if error.is_data() => {
            return whole(
                Reason::NotAnObject,
                "must be a JSON object with user_id, postcode, webpage and timestamp".into(),
            );
        }
        Err(error) => return whole(Reason::MalformedJson, format!("is not valid JSON: {error}")),
    };
    FIELDS.into_iter().filter_map(|field| fault(field, &fields)).collect()
}

/// The known fields of the object `json` with their values as written; `None` if it is no object.
pub(crate) fn known_fields(json: &[u8]) -> Option<Vec<(&'static str, &RawValue)>> {
    serde_json::Deserializer::from_slice(json).deserialize_map(KnownFields).ok()
}

fn whole(reason: Reason, detail: String) -> Vec<FieldError> {
    vec![FieldError { field: "", reason, detail }]
}

fn fault(field: &'static str, fields: &[(&'static str, &RawValue)]) -> Option<FieldError> {
    let error = |reason, detail: &str| Some(FieldError { field, reason, detail: detail.to_owned() });
    let mut values = fields.iter().filter(|(name, _)| *name == field).map(|(_, value)| value.get());
    let Some(value) = values.next() else {
        return if field == "event_id" { None } else { error(Reason::MissingField, &missing(field)) };
    };
    if values.next().is_some() {
        return error(Reason::DuplicateField, "stands there twice: send it once");
    }
    match field {
        "user_id" if serde_json::from_str::<u64>(value).is_err() => error(Reason::InvalidUserId, USER_ID),
        "postcode" => match string(value).map(|text| Postcode::parse(&text.0)) {
            Some(Ok(_)) => None,
            _ => error(Reason::InvalidPostcode, &format!("{}", crate::postcode::InvalidPostcode)),
        },
        "webpage" if !string(value).is_some_and(|text| valid_webpage(&text.0)) => {
            error(Reason::InvalidWebpage, WEBPAGE)
        }
        "timestamp" => match serde_json::from_str::<i64>(value) {
            Ok(seconds) if valid_timestamp(seconds) => None,
            Ok(millis) if looks_like_milliseconds(millis) => {
                error(Reason::TimestampInMilliseconds, &in_milliseconds(millis))
            }
            _ => error(Reason::InvalidTimestamp, TIMESTAMP),
        },
        "event_id" if value != "null" && !string(value).is_some_and(|text| valid_event_id(&text.0)) => {
            error(Reason::InvalidEventId, EVENT_ID)
        }
        _ => None,
    }
}

fn missing(field: &str) -> String {
    let what = match field {
        "user_id" => USER_ID,
        "webpage" => WEBPAGE,
        "timestamp" => TIMESTAMP,
        _ => return format!("is missing: it {}", crate::postcode::InvalidPostcode),
    };
    format!("is missing: it {what}")
}

fn string(value: &str) -> Option<Text<'_>> {
    serde_json::from_str(value).ok()
}

/// Whether `value`, too large for seconds, is milliseconds of some year up to 9999.
fn looks_like_milliseconds(value: i64) -> bool {
    value > EpochSeconds::MAX.0 && value / 1000 <= EpochSeconds::MAX.0
}

fn in_milliseconds(millis: i64) -> String {
    format!("{millis} looks like milliseconds: send whole seconds, {}", millis / 1000)
}

impl FieldError {
    /// The fault of a valid event whose `timestamp` lies further ahead of `now` than a deployment accepts.
    #[must_use]
    pub fn in_future(timestamp: EpochSeconds, now: EpochSeconds, allowed: Duration) -> Self {
        let ahead = timestamp.0.saturating_sub(now.0);
        let detail = format!(
            "is {ahead} s ahead of this server's clock ({now}): at most {} s are accepted",
            allowed.as_secs()
        );
        Self { field: "timestamp", reason: Reason::TimestampInFuture, detail }
    }

    /// The fault of a valid event whose `timestamp` lies further back than a deployment accepts.
    #[must_use]
    pub fn too_old(timestamp: EpochSeconds, now: EpochSeconds, allowed: Duration) -> Self {
        let age = now.0.saturating_sub(timestamp.0);
        let detail = format!("is {age} s old: at most {} s are accepted", allowed.as_secs());
        Self { field: "timestamp", reason: Reason::TimestampTooOld, detail }
    }
}

/// Collects the known fields of an object with their raw values, repeated ones too.
struct KnownFields;

impl<'de> Visitor<'de> for KnownFields {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let value = map.next_value::<&RawValue>()?;
            if let Some(field) = FIELDS.into_iter().find(|field| *field == key.0) {
                found.push((field, value));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A valid event with one field replaced by raw JSON, or left out.
    fn event(field: &str, value: Option<&str>) -> String {
        let fields =
            [("user_id", "1"), ("postcode", r#""N1""#), ("webpage", r#""w""#), ("timestamp", "1611662684")];
        let kept = fields
            .iter()
            .filter(|(name, _)| *name != field)
            .map(|(name, value)| format!(r#""{name}":{value}"#));
        let replaced = value.map(|value| format!(r#""{field}":{value}"#));
        format!("{{{}}}", kept.chain(replaced).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn each_fault_has_its_reason() {
        let long = format!("\"{}\"", "x".repeat(2049));
        let cases = [
            ("user_id", Some("-1"), Reason::InvalidUserId),
            ("user_id", Some("1.0"), Reason::InvalidUserId),
            ("user_id", Some("\"1\""), Reason::InvalidUserId),
            ("user_id", Some("18446744073709551616"), Reason::InvalidUserId),
            ("user_id", None, Reason::MissingField),
            ("postcode", Some("\"\""), Reason::InvalidPostcode),
            ("postcode", Some("null"), Reason::InvalidPostcode),
            ("postcode", None, Reason::MissingField),
            ("webpage", Some("\"\""), Reason::InvalidWebpage),
            ("webpage", Some(long.as_str()), Reason::InvalidWebpage),
            ("timestamp", Some("1611662684000"), Reason::TimestampInMilliseconds),
            ("timestamp", Some("-1"), Reason::InvalidTimestamp),
            ("timestamp", Some("1611662684.5"), Reason::InvalidTimestamp),
            ("timestamp", Some("\"2021-01-26\""), Reason::InvalidTimestamp),
            ("event_id", Some("\"a b\""), Reason::InvalidEventId),
            ("event_id", Some("\"\""), Reason::InvalidEventId),
            ("event_id", Some("7"), Reason::InvalidEventId),
        ];
        for (field, value, reason) in cases {
            let json = event(field, value);
            assert_eq!(Pageview::parse(json.as_bytes()), Err(reason), "{json}");
            let errors = explain(json.as_bytes());
            assert_eq!(errors.len(), 1, "{json}: {errors:?}");
            assert_eq!((errors[0].field, errors[0].reason), (field, reason));
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let errors = explain(br#"{"user_id":-1,"postcode":"?","timestamp":1611662684000}"#);
        let fields: Vec<_> = errors.iter().map(|error| error.field).collect();
        assert_eq!(fields, ["user_id", "postcode", "webpage", "timestamp"]);
        assert!(errors[3].detail.contains("milliseconds") && errors[3].detail.contains("1611662684"));
    }

    #[test]
    fn a_known_field_that_repeats_is_refused_and_an_unknown_one_is_not() {
        let twice = br#"{"user_id":1,"postcode":"N1","webpage":"w","timestamp":1,"user_id":1}"#;
        assert_eq!(Pageview::parse(twice), Err(Reason::DuplicateField));
        let unknown = br#"{"user_id":1,"postcode":"N1","webpage":"w","timestamp":1,"x":1,"x":2}"#;
        assert!(Pageview::parse(unknown).is_ok());
    }

    #[test]
    fn what_is_no_object_or_no_json_is_told_apart() {
        for (json, reason) in [
            (&b"[1]"[..], Reason::NotAnObject),
            (b"null", Reason::NotAnObject),
            (b"", Reason::MalformedJson),
            (b"{\"user_id\":1", Reason::MalformedJson),
            (b"{} {}", Reason::MalformedJson),
            (b"{\"a\":\"\xff\"}", Reason::MalformedJson),
        ] {
            assert_eq!(Pageview::parse(json), Err(reason), "{json:?}");
            assert_eq!(explain(json)[0].reason, reason, "{json:?}");
        }
    }

    #[test]
    fn deep_nesting_is_skipped_without_recursion() {
        let depth = 20_000;
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let json = format!(r#"{{"x":{deep},"user_id":1,"postcode":"N1","webpage":"w","timestamp":1}}"#);
        assert!(Pageview::parse(json.as_bytes()).is_ok());
    }

    #[test]
    fn the_distance_to_the_clock_is_told() {
        let now = EpochSeconds(1_795_000_000);
        let error = FieldError::in_future(EpochSeconds(now.0 + 400), now, Duration::from_secs(300));
        assert!(error.detail.contains("400 s ahead"), "{}", error.detail);
        let error = FieldError::too_old(EpochSeconds(now.0 - 90), now, Duration::from_secs(60));
        assert!(error.detail.contains("90 s old"), "{}", error.detail);
    }
}
