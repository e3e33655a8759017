//! From a request's body to the events in it, or to a problem that tells the caller what to change. Pure.
//!
//! One pass over the bytes: where an event has the usual shape, it is checked and its end is found at once. Any other is
//! cut out by serde_json and asked for by the whole grammar, with the same outcome.

use std::borrow::Cow;
use std::time::Duration;

use model::{EpochMillis, FieldError, Pageview, Postcode, Reason, explain, one_line, with_event_id};
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::headers::IdempotencyKey;
use crate::problem::{Fault, Problem, Rejected};

/// The most bytes of a request with one event: an event that is as large as it may be, with spaces around it.
pub(crate) const MAX_SINGLE_BYTES: usize = Pageview::MAX_BYTES + 1024;
/// The most events of one batch.
pub const MAX_BATCH_EVENTS: usize = 10_000;
/// The most bytes of one batch, decompressed.
pub const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Faults told of one request; the rest is only counted.
const MAX_FAULTS: usize = 100;
/// What an event takes at least, about: how much room to make for those of a body.
const SMALL_EVENT: usize = 80;

/// An event to be written to Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What the events of one request are measured by.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The time of the request.
    pub now: EpochMillis,
    /// What the deployment accepts.
    pub limits: Limits,
    /// What makes ids for events that have none.
    pub idempotency_key: Option<&'a IdempotencyKey>,
}

/// The one event in `body`.
///
/// # Errors
/// 400 with every fault of the event, 413 when it is too large.
pub fn single<'a>(body: &'a [u8], admission: Admission<'_>) -> Result<Event<'a>, Problem> {
    let body = trim(body);
    admission.event(0, body).map_err(|errors| {
        let mut rejected = Rejected::default();
        rejected.add(&errors);
        let hint = if body.starts_with(b"[") { ": an array goes to /api/pageviews/batch" } else { "" };
        let faults = errors.into_iter().map(|error| Fault { index: 0, error }).collect();
        Problem::invalid(format!("the event is not valid{hint}"), faults).counting(rejected)
    })
}

/// All events in `body`, in order.
///
/// # Errors
/// 400 with the faults of every event, 413 when there are too many or one is too large. One bad event refuses the whole batch.
pub fn batch<'a>(body: &'a [u8], admission: Admission<'_>) -> Result<Vec<Event<'a>>, Problem> {
    let mut rejected = Rejected::default();
    let mut rest = trim(body).strip_prefix(b"[").ok_or_else(|| malformed(body, rejected))?;
    if trim(rest) == b"]" {
        return Err(Problem::invalid("the batch is empty: send 1 to 10000 events".into(), Vec::new()));
    }
    let mut events = Vec::with_capacity((body.len() / SMALL_EVENT).min(MAX_BATCH_EVENTS));
    let (mut faults, mut bad, mut index) = (Vec::new(), 0_usize, 0);
    loop {
        if index == MAX_BATCH_EVENTS {
            return Err(Problem::too_large(format!(
                "these are too many events: send at most {MAX_BATCH_EVENTS} at once"
            )));
        }
        rest = skip_spaces(rest);
        let (event, len) = admission.first(index, rest).ok_or_else(|| malformed(body, rejected))?;
        match event {
            Ok(event) => events.push(event),
            Err(errors) => {
                bad += 1;
                rejected.add(&errors);
                let room = MAX_FAULTS.saturating_sub(faults.len());
                faults.extend(errors.into_iter().take(room).map(|error| Fault { index, error }));
            }
        }
        index += 1;
        match skip_spaces(&rest[len..]) {
            [b',', more @ ..] => rest = more,
            [b']', after @ ..] if trim(after).is_empty() => break,
            _ => return Err(malformed(body, rejected)),
        }
    }
    if bad == 0 {
        return Ok(events);
    }
    let told = if faults.len() == MAX_FAULTS { ", the first 100 faults are told" } else { "" };
    let detail = format!("{bad} of {index} events are not valid, none was accepted{told}");
    Err(Problem::invalid(detail, faults).counting(rejected))
}

impl Admission<'_> {
    /// What stands at the start of `rest`, as the event `index`, and how many bytes it takes; `None` if it is no JSON.
    fn first<'a>(&self, index: usize, rest: &'a [u8]) -> Option<(Result<Event<'a>, Vec<FieldError>>, usize)> {
        if let Some(scanned) = Pageview::parse_first(rest) {
            let json = &rest[..scanned.len];
            let line = if scanned.has_line_breaks { one_line(json) } else { Cow::Borrowed(json) };
            let event = self.admit(index, &scanned.pageview, line).map_err(|error| vec![error]);
            return Some((event, scanned.len));
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        let value = values.next()?.ok()?;
        Some((self.event(index, value.get().as_bytes()), values.byte_offset()))
    }

    fn event<'a>(&self, index: usize, json: &'a [u8]) -> Result<Event<'a>, Vec<FieldError>> {
        let pageview = Pageview::parse(json).map_err(|_reason| explain(json))?;
        self.admit(index, &pageview, one_line(json)).map_err(|error| vec![error])
    }

    fn admit<'a>(
        &self,
        index: usize,
        pageview: &Pageview<'_>,
        line: Cow<'a, [u8]>,
    ) -> Result<Event<'a>, FieldError> {
        let Limits { max_future_skew, max_past } = self.limits;
        if pageview.is_ahead_of(self.now, max_future_skew) {
            return Err(FieldError::in_future(pageview.timestamp, self.now.to_seconds(), max_future_skew));
        }
        if let Some(allowed) = max_past
            && pageview.timestamp.to_millis() < self.now.minus(allowed)
        {
            return Err(FieldError::too_old(pageview.timestamp, self.now.to_seconds(), allowed));
        }
        let value = match self.idempotency_key {
            Some(key) if pageview.event_id.is_none() => with_id(&line, &key.event_id(index))?,
            _ => line,
        };
        Ok(Event { postcode: pageview.postcode, value })
    }
}

/// Not every event that may be sent has room for an id: what is written must be readable again.
fn with_id<'a>(line: &[u8], id: &str) -> Result<Cow<'a, [u8]>, FieldError> {
    let value = with_event_id(line, id);
    if value.len() <= Pageview::MAX_BYTES {
        return Ok(Cow::Owned(value));
    }
    let detail = format!(
        "is {} bytes long with the event_id that Idempotency-Key gives it: one event may have at most {}",
        value.len(),
        Pageview::MAX_BYTES
    );
    Err(FieldError { field: "", reason: Reason::TooLarge, detail })
}

/// Why `body` is no JSON array, after so many faults in what was read of it.
fn malformed(body: &[u8], mut rejected: Rejected) -> Problem {
    rejected.count(Reason::MalformedJson);
    let detail = if trim(body).is_empty() {
        "the body is empty: send a JSON array of events".to_owned()
    } else if body.starts_with(b"\xef\xbb\xbf") {
        "the body starts with a byte order mark: send the JSON without it".to_owned()
    } else if let Err(error) = std::str::from_utf8(body) {
        format!("the body is not UTF-8: {error}")
    } else if let Err(error) = serde_json::from_slice::<IgnoredAny>(body) {
        format!("the body is not valid JSON: {error}")
    } else {
        "a batch is a JSON array of events: one event alone goes to /api/pageviews".to_owned()
    };
    Problem::invalid(detail, Vec::new()).counting(rejected)
}

/// What JSON allows around a value (RFC 8259, section 2).
const fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn skip_spaces(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| is_space(byte)).count();
    &bytes[spaces..]
}

fn trim(bytes: &[u8]) -> &[u8] {
    let bytes = skip_spaces(bytes);
    let end = bytes.iter().rposition(|byte| !is_space(byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const NOW: EpochMillis = EpochMillis(1_611_662_700_000);
    const LIMITS: Limits = Limits { max_future_skew: Duration::from_secs(300), max_past: None };
    const AT: Admission<'_> = Admission { now: NOW, limits: LIMITS, idempotency_key: None };
    const EVENT: &str = r#"{"user_id":1234,"postcode":"sw19","webpage":"w","timestamp":1611662684}"#;

    #[test]
    fn an_event_is_kept_as_sent_under_its_normalised_key() {
        let body = format!("  {EVENT}\r\n");
        let event = single(body.as_bytes(), AT).unwrap();
        assert_eq!(event.postcode.as_str(), "SW19");
        assert_eq!(event.value.as_ref(), EVENT.as_bytes());
    }

    #[test]
    fn a_batch_keeps_order_and_line_breaks_become_spaces() {
        let body = include_str!("../../model/fixtures/pageview-batch.json").replace(",\"", ",\n\"");
        let events = batch(body.as_bytes(), AT).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].postcode.as_str(), "EC1");
        assert!(events.iter().all(|event| !event.value.contains(&b'\n')));
    }

    #[test]
    fn one_bad_event_refuses_the_batch_and_is_named() {
        let body = format!(r#"[{EVENT},{{"user_id":1}},{EVENT}]"#);
        let problem = batch(body.as_bytes(), AT).unwrap_err();
        assert_eq!(problem.status, 400);
        let places: Vec<_> = problem.errors.iter().map(|fault| (fault.index, fault.error.field)).collect();
        assert_eq!(places, [(1, "postcode"), (1, "webpage"), (1, "timestamp")]);
    }

    #[test]
    fn faults_past_a_hundred_are_counted_and_not_told() {
        let body = format!("[{}]", vec!["{}"; 200].join(","));
        let problem = batch(body.as_bytes(), AT).unwrap_err();
        assert_eq!(problem.errors.len(), 100);
        assert!(problem.detail.contains("200 of 200"), "{}", problem.detail);
        assert!(problem.rejected.unwrap().iter().eq([(Reason::MissingField, 800)]));
    }

    #[test]
    fn what_is_no_array_counts_after_the_faults_before_it() {
        for (body, counts) in [
            (EVENT, &[(Reason::MalformedJson, 1)][..]),
            (r#"[{"user_id":1},"#, &[(Reason::MalformedJson, 1), (Reason::MissingField, 3)]),
        ] {
            let problem = batch(body.as_bytes(), AT).unwrap_err();
            assert!(problem.rejected.unwrap().iter().eq(counts.iter().copied()), "{body}");
        }
    }

    #[test]
    fn the_wrong_endpoint_is_named() {
        let problem = single(format!("[{EVENT}]").as_bytes(), AT).unwrap_err();
        assert!(problem.detail.contains("/api/pageviews/batch"), "{}", problem.detail);
        let problem = batch(EVENT.as_bytes(), AT).unwrap_err();
        assert!(problem.detail.contains("/api/pageviews"), "{}", problem.detail);
    }

    #[test]
    fn empty_and_oversized_batches_are_refused() {
        assert_eq!(batch(b"[]", AT).unwrap_err().status, 400);
        let body = format!("[{}]", vec![EVENT; MAX_BATCH_EVENTS + 1].join(","));
        assert_eq!(batch(body.as_bytes(), AT).unwrap_err().status, 413);
    }

    #[test]
    fn an_event_above_64_kib_is_too_large_alone_and_in_a_batch() {
        let padding = "x".repeat(Pageview::MAX_BYTES);
        let large = format!("{}{}", &EVENT[..EVENT.len() - 1], format_args!(r#","padding":"{padding}"}}"#));
        let alone = single(large.as_bytes(), AT).unwrap_err();
        assert_eq!((alone.status, alone.errors[0].error.reason), (413, Reason::TooLarge));
        let among = batch(format!("[{EVENT},{large}]").as_bytes(), AT).unwrap_err();
        assert_eq!((among.status, among.errors[0].index), (413, 1));
    }

    #[test]
    fn the_clock_bounds_timestamps() {
        let at = |seconds: i64| EVENT.replace("1611662684", &seconds.to_string());
        let edge = NOW.to_seconds().0 + 300;
        assert!(single(at(edge).as_bytes(), AT).is_ok());
        let ahead = single(at(edge + 1).as_bytes(), AT).unwrap_err();
        assert_eq!(ahead.errors[0].error.reason, Reason::TimestampInFuture);
        let limits = Limits { max_past: Some(Duration::from_secs(60)), ..LIMITS };
        let recent = Admission { limits, ..AT };
        let old = single(at(NOW.to_seconds().0 - 61).as_bytes(), recent).unwrap_err();
        assert_eq!(old.errors[0].error.reason, Reason::TimestampTooOld);
    }

    #[test]
    fn an_idempotency_key_gives_an_id_to_events_that_have_none() {
        let key = IdempotencyKey::parse(b"\"k1\"").unwrap();
        let keyed = Admission { idempotency_key: Some(&key), ..AT };
        let named = EVENT.replace('}', r#","event_id":"mine"}"#);
        let body = format!("[{EVENT},{named},{}]", EVENT.replace('}', "\n}"));
        let events = batch(body.as_bytes(), keyed).unwrap();
        let ids = events.iter().map(|event| Pageview::parse(&event.value).unwrap().event_id.unwrap());
        assert_eq!(ids.collect::<Vec<_>>(), ["k1:0", "mine", "k1:2"]);
        assert_eq!(
            single(EVENT.as_bytes(), keyed).unwrap().value,
            batch(body.as_bytes(), keyed).unwrap()[0].value
        );
    }

    #[test]
    fn an_event_without_room_for_an_id_is_refused_rather_than_lost_later() {
        let key = IdempotencyKey::parse(b"k").unwrap();
        let padding = "x".repeat(Pageview::MAX_BYTES - EVENT.len() - r#","p":"""#.len());
        let full = EVENT.replace('}', &format!(r#","p":"{padding}"}}"#));
        assert!(single(full.as_bytes(), AT).is_ok());
        let problem = single(full.as_bytes(), Admission { idempotency_key: Some(&key), ..AT }).unwrap_err();
        assert_eq!(problem.status, 413);
    }

    type Decision = Result<(Postcode, Vec<u8>), Reason>;

    /// A batch by serde_json alone: what is cut into events, and which of them are refused for what.
    fn by_the_grammar(body: &[u8]) -> Option<Vec<Decision>> {
        let text = std::str::from_utf8(body).ok()?;
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let event = |item: &&RawValue| {
            let json = item.get().as_bytes();
            let pageview = Pageview::parse(json)?;
            if pageview.is_ahead_of(NOW, LIMITS.max_future_skew) {
                return Err(Reason::TimestampInFuture);
            }
            Ok((pageview.postcode, one_line(json).into_owned()))
        };
        Some(items.iter().map(event).collect())
    }

    /// Events right and wrong, with what may stand between them, right and wrong, and one byte changed or the end cut off.
    fn body() -> impl Strategy<Value = Vec<u8>> {
        let event = prop_oneof![
            6 => Just(EVENT.to_owned()),
            1 => Just(EVENT.replace(",\"", ",\r\n \"")),
            1 => Just(EVENT.replace("\"w\"", r#""www.website.com\/\u00e9""#)),
            1 => Just(EVENT.replace('}', r#","x":[1,{"y":"]},"}],"event_id":null}"#)),
            1 => Just(EVENT.replace("1611662684", "1711662684")),
            1 => prop::sample::select(vec!["{}", "1", "null", "[]", "\"}\"", "-", "\u{feff}"]).prop_map(str::to_owned),
        ];
        let separator = prop::sample::select(vec![",", ",", ",", ",", " ,\n", ",,", "", "\u{c}"]);
        let items = prop::collection::vec((event, separator), 1..6);
        let change = prop::option::of((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()));
        (items, change).prop_map(|(items, change)| {
            let joined: String =
                items.iter().flat_map(|(event, separator)| [event.as_str(), *separator]).collect();
            let last = items.last().map_or(0, |(_, separator)| separator.len());
            let mut text = format!(" [{}] ", &joined[..joined.len() - last]).into_bytes();
            if let Some((at, byte, cut)) = change {
                let at = at.index(text.len());
                if cut { text.truncate(at) } else { text[at] = byte }
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

        #[test]
        fn one_pass_decides_as_the_grammar_does(body in body()) {
            let expected = by_the_grammar(&body);
            match batch(&body, AT) {
                Ok(events) => {
                    let taken = events.into_iter().map(|event| Ok((event.postcode, event.value.into_owned())));
                    prop_assert_eq!(Some(taken.collect::<Vec<_>>()), expected);
                }
                Err(problem) => {
                    let refused = expected.unwrap_or_default();
                    let told = problem.errors.iter().map(|fault| fault.index).collect::<BTreeSet<_>>();
                    let wrong = (0..refused.len()).filter(|index| refused[*index].is_err());
                    prop_assert!(told.into_iter().eq(wrong), "{}: {:?}", body.escape_ascii(), problem);
                    prop_assert!(refused.is_empty() || refused.iter().any(Result::is_err));
                }
            }
        }
    }
}
