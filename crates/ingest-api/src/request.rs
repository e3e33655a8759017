//! From a request's body to the events in it, or to a problem that tells the caller what to change. Pure.

use std::borrow::Cow;
use std::time::Duration;

use model::{EpochMillis, FieldError, Pageview, Postcode, explain, one_line};
use serde_json::value::RawValue;

use crate::problem::{Fault, Problem};

/// The most events of one batch.
pub const MAX_BATCH_EVENTS: usize = 10_000;
/// The most bytes of one batch.
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Faults told of one request; the rest is only counted.
const MAX_FAULTS: usize = 100;

/// An event to be written to Kafka.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The record's key.
    pub postcode: Postcode,
    /// The record's value: the event as sent, on one line.
    pub value: Cow<'a, [u8]>,
}

/// What the deployment accepts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How far an event may be ahead of the clock.
    pub max_future_skew: Duration,
    /// How old an event may be, if that is limited.
    pub max_past: Option<Duration>,
}

/// Checks the headers that say what the body is.
///
/// # Errors
/// 415 for another content type than JSON, or an encoding.
pub fn check_content(content_type: Option<&str>, content_encoding: Option<&str>) -> Result<(), Problem> {
    let media_type = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(kind)
            if kind.eq_ignore_ascii_case("application/json") || kind.eq_ignore_ascii_case("text/plain") => {}
        Some(other) => {
            let detail = format!(
                "Content-Type {other} is not understood: send JSON as application/json or text/plain"
            );
            return Err(Problem::unsupported(detail));
        }
        None => {
            return Err(Problem::unsupported(
                "Content-Type is missing: send JSON as application/json".into(),
            ));
        }
    }
    match content_encoding {
        None => Ok(()),
        Some(coding) if coding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(other) => Err(Problem::unsupported(format!(
            "Content-Encoding {other} is not understood: send the body as it is"
        ))),
    }
}

/// The one event in `body`.
///
/// # Errors
/// 400 with every fault of the event, 413 when it is too large.
pub fn single(body: &[u8], now: EpochMillis, limits: Limits) -> Result<Event<'_>, Problem> {
    let body = body.trim_ascii();
    event(body, now, limits).map_err(|errors| {
        let hint = if body.starts_with(b"[") { ": an array goes to /api/pageviews/batch" } else { "" };
        let faults = errors.into_iter().map(|error| Fault { index: 0, error }).collect();
        Problem::invalid(format!("the event is not valid{hint}"), faults)
    })
}

/// All events in `body`, in order.
///
/// # Errors
/// 400 with the faults of every event, 413 when there are too many or one is too large. One bad event refuses the whole batch.
pub fn batch(body: &[u8], now: EpochMillis, limits: Limits) -> Result<Vec<Event<'_>>, Problem> {
    let items = items(body)?;
    let mut events = Vec::with_capacity(items.len());
    let (mut faults, mut bad) = (Vec::new(), 0_usize);
    for (index, item) in items.iter().enumerate() {
        match event(item.get().as_bytes(), now, limits) {
            Ok(event) => events.push(event),
            Err(errors) => {
                bad += 1;
                let room = MAX_FAULTS.saturating_sub(faults.len());
                faults.extend(errors.into_iter().take(room).map(|error| Fault { index, error }));
            }
        }
    }
    if bad == 0 {
        return Ok(events);
    }
    let told = if faults.len() == MAX_FAULTS { ", the first 100 faults are told" } else { "" };
    let detail = format!("{bad} of {} events are not valid, none was accepted{told}", items.len());
    Err(Problem::invalid(detail, faults))
}

fn items(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let malformed = |detail: String| Problem::invalid(detail, Vec::new());
    let text =
        std::str::from_utf8(body).map_err(|error| malformed(format!("the body is not UTF-8: {error}")))?;
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            malformed("a batch is a JSON array of events: one event alone goes to /api/pageviews".into())
        } else {
            malformed(format!("the body is not valid JSON: {error}"))
        }
    })?;
    match items.len() {
        0 => Err(malformed("the batch is empty: send 1 to 10000 events".into())),
        1..=MAX_BATCH_EVENTS => Ok(items),
        many => Err(Problem::too_large(format!(
            "{many} events are too many: send at most {MAX_BATCH_EVENTS} at once"
        ))),
    }
}

fn event(json: &[u8], now: EpochMillis, limits: Limits) -> Result<Event<'_>, Vec<FieldError>> {
    let pageview = Pageview::parse(json).map_err(|_reason| explain(json))?;
    let seconds = now.to_seconds();
    if pageview.is_ahead_of(now, limits.max_future_skew) {
        return Err(vec![FieldError::in_future(pageview.timestamp, seconds, limits.max_future_skew)]);
    }
    if let Some(allowed) = limits.max_past
        && pageview.timestamp.to_millis() < now.minus(allowed)
    {
        return Err(vec![FieldError::too_old(pageview.timestamp, seconds, allowed)]);
    }
    Ok(Event { postcode: pageview.postcode, value: one_line(json) })
}

#[cfg(test)]
mod tests {
    use model::Reason;

    use super::*;

    const NOW: EpochMillis = EpochMillis(1_611_662_700_000);
    const LIMITS: Limits = Limits { max_future_skew: Duration::from_secs(300), max_past: None };
    const EVENT: &str = r#"{"user_id":1234,"postcode":"sw19","webpage":"w","timestamp":1611662684}"#;

    #[test]
    fn an_event_is_kept_as_sent_under_its_normalised_key() {
        let body = format!("  {EVENT}\r\n");
        let event = single(body.as_bytes(), NOW, LIMITS).unwrap();
        assert_eq!(event.postcode.as_str(), "SW19");
        assert_eq!(event.value.as_ref(), EVENT.as_bytes());
    }

    #[test]
    fn a_batch_keeps_order_and_line_breaks_become_spaces() {
        let body = include_str!("../../model/fixtures/pageview-batch.json").replace(",\"", ",\n\"");
        let events = batch(body.as_bytes(), NOW, LIMITS).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].postcode.as_str(), "EC1");
        assert!(events.iter().all(|event| !event.value.contains(&b'\n')));
    }

    #[test]
    fn one_bad_event_refuses_the_batch_and_is_named() {
        let body = format!(r#"[{EVENT},{{"user_id":1}},{EVENT}]"#);
        let problem = batch(body.as_bytes(), NOW, LIMITS).unwrap_err();
        assert_eq!(problem.status, 400);
        let places: Vec<_> = problem.errors.iter().map(|fault| (fault.index, fault.error.field)).collect();
        assert_eq!(places, [(1, "postcode"), (1, "webpage"), (1, "timestamp")]);
    }

    #[test]
    fn faults_past_a_hundred_are_counted_and_not_told() {
        let body = format!("[{}]", vec!["{}"; 200].join(","));
        let problem = batch(body.as_bytes(), NOW, LIMITS).unwrap_err();
        assert_eq!(problem.errors.len(), 100);
        assert!(problem.detail.contains("200 of 200"), "{}", problem.detail);
    }

    #[test]
    fn the_wrong_endpoint_is_named() {
        let problem = single(format!("[{EVENT}]").as_bytes(), NOW, LIMITS).unwrap_err();
        assert!(problem.detail.contains("/api/pageviews/batch"), "{}", problem.detail);
        let problem = batch(EVENT.as_bytes(), NOW, LIMITS).unwrap_err();
        assert!(problem.detail.contains("/api/pageviews"), "{}", problem.detail);
    }

    #[test]
    fn empty_and_oversized_batches_are_refused() {
        assert_eq!(batch(b"[]", NOW, LIMITS).unwrap_err().status, 400);
        let body = format!("[{}]", vec![EVENT; MAX_BATCH_EVENTS + 1].join(","));
        assert_eq!(batch(body.as_bytes(), NOW, LIMITS).unwrap_err().status, 413);
    }

    #[test]
    fn an_event_above_64_kib_is_too_large_alone_and_in_a_batch() {
        let padding = "x".repeat(Pageview::MAX_BYTES);
        let large = format!("{}{}", &EVENT[..EVENT.len() - 1], format_args!(r#","padding":"{padding}"}}"#));
        let alone = single(large.as_bytes(), NOW, LIMITS).unwrap_err();
        assert_eq!((alone.status, alone.errors[0].error.reason), (413, Reason::TooLarge));
        let among = batch(format!("[{EVENT},{large}]").as_bytes(), NOW, LIMITS).unwrap_err();
        assert_eq!((among.status, among.errors[0].index), (413, 1));
    }

    #[test]
    fn the_clock_bounds_timestamps() {
        let at = |seconds: i64| EVENT.replace("1611662684", &seconds.to_string());
        let edge = NOW.to_seconds().0 + 300;
        assert!(single(at(edge).as_bytes(), NOW, LIMITS).is_ok());
        let ahead = single(at(edge + 1).as_bytes(), NOW, LIMITS).unwrap_err();
        assert_eq!(ahead.errors[0].error.reason, Reason::TimestampInFuture);
        let limits = Limits { max_past: Some(Duration::from_secs(60)), ..LIMITS };
        let old = single(at(NOW.to_seconds().0 - 61).as_bytes(), NOW, limits).unwrap_err();
        assert_eq!(old.errors[0].error.reason, Reason::TimestampTooOld);
    }

    #[test]
    fn only_json_is_taken_with_or_without_its_name() {
        assert!(check_content(Some("application/json; charset=utf-8"), None).is_ok());
        assert!(check_content(Some("text/plain;charset=UTF-8"), Some("identity")).is_ok());
        assert_eq!(check_content(Some("application/xml"), None).unwrap_err().status, 415);
        assert_eq!(check_content(None, None).unwrap_err().status, 415);
        assert_eq!(check_content(Some("application/json"), Some("br")).unwrap_err().status, 415);
    }
}
