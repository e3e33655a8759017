//! Which object of its range a record goes to: a pure function of the record, the format, the layout and the rules,
//! so that whoever writes a range again writes the same objects.

use std::borrow::Cow;

use model::{EpochMillis, Pageview, PageviewAggregate, Reason, dead_letter};
use service::config::Setting as _;
use time::Date;

use crate::Kind;
use crate::format::Format;
use crate::ledger::Recipe;
use crate::object_name::{self, ObjectName};
use crate::record::Record;

/// Sorts the records of one writer into objects, by one recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Router {
    kind: Kind,
    format: Format,
}

/// A recipe that only a later release knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "format {:?}, layout {} and rules {} are not known to this release: upgrade it", .0.format, .0.layout, .0.rules
)]
pub struct UnknownRecipe(pub Recipe);

/// One of the objects of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// What the writer's own format cannot hold, in envelopes.
    DeadLetter,
    /// Events, of the hour that the range began in.
    Events,
    /// Counts whose window starts on this day.
    Day(Date),
}

/// Where one record goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route<'a> {
    /// Into [`Slot::Events`], with its fields where the format has columns for them.
    Event(Option<Pageview<'a>>),
    /// Into the [`Slot::Day`] of its window.
    Count(PageviewAggregate),
    /// Into an envelope in [`Slot::DeadLetter`].
    Envelope {
        /// Why.
        reason: Cow<'a, str>,
    },
}

/// The versions that new ranges are written by.
const LAYOUT: u32 = 1;
const RULES: u32 = 1;

impl Router {
    /// A router of the writer `kind` for new ranges in this format.
    #[must_use]
    pub const fn new(kind: Kind, format: Format) -> Self {
        Self { kind, format }
    }

    /// The router of the writer `kind` for a range that `recipe` was fixed for.
    ///
    /// # Errors
    /// [`UnknownRecipe`] when this release does not know it.
    pub fn by(kind: Kind, recipe: &Recipe) -> Result<Self, UnknownRecipe> {
        match Format::parse(&recipe.format) {
            Ok(format) if (recipe.layout, recipe.rules) == (LAYOUT, RULES) => Ok(Self { kind, format }),
            _ => Err(UnknownRecipe(recipe.clone())),
        }
    }

    /// What the ledger says of the ranges that it sorts.
    #[must_use]
    pub fn recipe(self) -> Recipe {
        Recipe { format: self.format.name().to_owned(), layout: LAYOUT, rules: RULES }
    }

    /// The format of the file of `slot`. An envelope is JSON whatever the writer's own format is.
    #[must_use]
    pub const fn format(self, slot: Slot) -> Format {
        match slot {
            Slot::DeadLetter => Format::NdjsonGz,
            Slot::Events | Slot::Day(_) => self.format,
        }
    }

    /// Where `record` goes. Rules 1:
    ///
    /// | the value is | raw | raw, Parquet | aggregates, late | the same, Parquet |
    /// | --- | --- | --- | --- | --- |
    /// | null | `tombstone` | `tombstone` | `tombstone` | `tombstone` |
    /// | empty or blank | `empty` | `empty` | `empty` | `empty` |
    /// | with CR or LF in it | `line_break` | as without | `line_break` | as without |
    /// | no pageview | events | its [`model::Reason`] | | |
    /// | a pageview | events | events | | |
    /// | no count | | | `malformed_aggregate` | `malformed_aggregate` |
    /// | a count above 2^63 - 1 | | | the day of its window | `count_too_large` |
    /// | a count | | | the day of its window | the day of its window |
    ///
    /// The writer of dead letters puts everything into envelopes.
    #[must_use]
    pub fn route<'a>(self, record: &Record<'a>) -> Route<'a> {
        let poison = |reason| Route::Envelope { reason: Cow::Borrowed(reason) };
        if self.kind == Kind::DeadLetters {
            return Route::Envelope { reason: stated_reason(record) };
        }
        let Some(value) = record.value else { return poison("tombstone") };
        if value.trim_ascii_start().is_empty() {
            return poison("empty");
        }
        let columns = self.format == Format::Parquet;
        if !columns && (value.contains(&b'\n') || value.contains(&b'\r')) {
            return poison("line_break");
        }
        if self.kind == Kind::Raw {
            return match columns.then(|| event(value)) {
                None => Route::Event(None),
                Some(Ok(event)) => Route::Event(Some(event)),
                Some(Err(reason)) => poison(reason),
            };
        }
        match PageviewAggregate::parse(value) {
            Ok(count) if columns && i64::try_from(count.pageview_count).is_err() => poison("count_too_large"),
            Ok(count) => Route::Count(count),
            Err(_) => poison("malformed_aggregate"),
        }
    }

    /// The key of the object `slot` of the range `name`, whose first record has the timestamp `first`. Layout 1:
    ///
    /// | slot | folder |
    /// | --- | --- |
    /// | events | `raw/dt={day of first}/hour={hour of first}/` |
    /// | counts of a day | `aggregates/dt={day}/` or `late/dt={day}/` |
    /// | dead letters | `dead-letter/{raw,aggregates,late,topic}/dt={day of first}/` |
    #[must_use]
    pub fn key(self, slot: Slot, first: EpochMillis, name: &ObjectName) -> String {
        let own = self.kind.folder().unwrap_or(self.kind.dead_letter_folder());
        let (folder, time) = match slot {
            Slot::DeadLetter => (self.kind.dead_letter_folder(), object_name::day(first.to_utc().date())),
            Slot::Events => (own, object_name::hour(first)),
            Slot::Day(date) => (own, object_name::day(date)),
        };
        format!("{folder}/{time}/{name}")
    }
}

/// The reason that the aggregator gave a dead letter in its headers. It puts its own behind those that the record came
/// with, so the last one is its word.
fn stated_reason<'a>(record: &Record<'a>) -> Cow<'a, str> {
    let stated = record.headers.read().into_iter().rev().find(|header| header.name == dead_letter::REASON);
    stated.and_then(|header| header.value).map_or(Cow::Borrowed("unknown"), String::from_utf8_lossy)
}

/// The event of a row, whose text is a text.
fn event(value: &[u8]) -> Result<Pageview<'_>, &'static str> {
    let event = Pageview::parse(value).map_err(Reason::as_str)?;
    if str::from_utf8(value).is_ok() { Ok(event) } else { Err(Reason::MalformedJson.as_str()) }
}

impl Route<'_> {
    /// The object.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            Self::Event(_) => Slot::Events,
            Self::Count(count) => Slot::Day(count.window_start.day()),
            Self::Envelope { .. } => Slot::DeadLetter,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::record::{Header, NO_HEADERS};

    const COUNT: &str = r#"{"postcode":"SW19","window_start":"2021-01-26T23:59:00","pageview_count":42}"#;
    const EVENT: &str = r#"{"user_id":7,"postcode":"sw19","webpage":"a","timestamp":1611662684}"#;
    const DAY: Date = date!(2021 - 01 - 26);

    fn record(value: Option<&[u8]>) -> Record<'_> {
        Record {
            offset: 5,
            timestamp: EpochMillis(1_795_525_200_123),
            key: None,
            value,
            headers: &NO_HEADERS,
        }
    }

    fn routed(kind: Kind, format: Format, value: Option<&[u8]>) -> String {
        match Router::new(kind, format).route(&record(value)) {
            Route::Envelope { reason } => reason.into_owned(),
            Route::Event(None) => "events".to_owned(),
            Route::Event(Some(event)) => format!("user {}", event.user_id),
            route @ Route::Count(_) if route.slot() == Slot::Day(DAY) => "day".to_owned(),
            other @ Route::Count(_) => format!("{other:?}"),
        }
    }

    #[test]
    fn each_row_of_the_rules() {
        let event = EVENT.as_bytes();
        let broken = EVENT.replace(',', ",\n");
        let huge = COUNT.replace("42", "9223372036854775808");
        // The value, and where raw, raw in Parquet, counts, and counts in Parquet go.
        let rows: [(Option<&[u8]>, [&str; 4]); 10] = [
            (None, ["tombstone"; 4]),
            (Some(b""), ["empty"; 4]),
            (Some(b" \n"), ["empty"; 4]),
            (Some(b"{}\r"), ["line_break", "missing_field", "line_break", "malformed_aggregate"]),
            (Some(b"no json"), ["events", "malformed_json", "malformed_aggregate", "malformed_aggregate"]),
            (Some(event), ["events", "user 7", "malformed_aggregate", "malformed_aggregate"]),
            (Some(broken.as_bytes()), ["line_break", "user 7", "line_break", "malformed_aggregate"]),
            (
                Some(b"{\"a\":\"\xff\"}"),
                ["events", "malformed_json", "malformed_aggregate", "malformed_aggregate"],
            ),
            (Some(COUNT.as_bytes()), ["events", "missing_field", "day", "day"]),
            (Some(huge.as_bytes()), ["events", "missing_field", "day", "count_too_large"]),
        ];
        for (value, [raw, raw_columns, counts, count_columns]) in rows {
            for format in [Format::Ndjson, Format::NdjsonGz, Format::NdjsonZst] {
                assert_eq!(routed(Kind::Raw, format, value), raw, "{value:?}");
                assert_eq!(routed(Kind::Aggregates, format, value), counts, "{value:?}");
                assert_eq!(routed(Kind::Late, format, value), counts, "{value:?}");
            }
            assert_eq!(routed(Kind::Raw, Format::Parquet, value), raw_columns, "{value:?}");
            assert_eq!(routed(Kind::Aggregates, Format::Parquet, value), count_columns, "{value:?}");
            assert_eq!(routed(Kind::Late, Format::Parquet, value), count_columns, "{value:?}");
            assert_eq!(routed(Kind::DeadLetters, Format::NdjsonGz, value), "unknown", "{value:?}");
        }
    }

    #[test]
    fn a_dead_letter_keeps_the_reason_it_came_with() {
        let headers = [reason(b"not_an_object"), Header { name: "x".into(), value: None }];
        let route = Router::new(Kind::DeadLetters, Format::NdjsonGz)
            .route(&Record { headers: &headers, ..record(None) });
        assert_eq!(route, Route::Envelope { reason: "not_an_object".into() });
    }

    #[test]
    fn the_last_reason_is_the_aggregators() {
        let headers = [reason(b"a client's own header of that name"), reason(b"not_an_object")];
        let route = Router::new(Kind::DeadLetters, Format::NdjsonGz)
            .route(&Record { headers: &headers, ..record(None) });
        assert_eq!(route, Route::Envelope { reason: "not_an_object".into() });
    }

    fn reason(text: &[u8]) -> Header<'_> {
        Header { name: dead_letter::REASON.into(), value: Some(text) }
    }

    #[test]
    fn keys_are_final() {
        let name = ObjectName {
            topic: "t".to_owned(),
            partition: 1,
            start: 5,
            end: 9,
            extension: "ndjson.gz".to_owned(),
        };
        let key = |kind, slot| {
            let key = Router::new(kind, Format::NdjsonGz).key(slot, EpochMillis(1_795_525_200_123), &name);
            key.strip_suffix(&format!("/{name}")).unwrap().to_owned()
        };
        assert_eq!(key(Kind::Raw, Slot::Events), "raw/dt=2026-11-24/hour=13");
        assert_eq!(key(Kind::Aggregates, Slot::Day(DAY)), "aggregates/dt=2021-01-26");
        assert_eq!(key(Kind::Late, Slot::Day(DAY)), "late/dt=2021-01-26");
        assert_eq!(key(Kind::Raw, Slot::DeadLetter), "dead-letter/raw/dt=2026-11-24");
        assert_eq!(key(Kind::Aggregates, Slot::DeadLetter), "dead-letter/aggregates/dt=2026-11-24");
        assert_eq!(key(Kind::Late, Slot::DeadLetter), "dead-letter/late/dt=2026-11-24");
        assert_eq!(key(Kind::DeadLetters, Slot::DeadLetter), "dead-letter/topic/dt=2026-11-24");
    }

    #[test]
    fn every_recipe_of_ours_is_known_and_no_other() {
        for format in Format::ALL {
            let router = Router::new(Kind::Raw, format);
            assert_eq!(Router::by(Kind::Raw, &router.recipe()), Ok(router));
            assert_eq!(router.format(Slot::DeadLetter), Format::NdjsonGz);
        }
        let ours = Router::new(Kind::Raw, Format::NdjsonGz).recipe();
        for unknown in [
            Recipe { format: "avro".to_owned(), ..ours.clone() },
            Recipe { layout: 2, ..ours.clone() },
            Recipe { rules: 2, ..ours },
        ] {
            assert_eq!(Router::by(Kind::Raw, &unknown), Err(UnknownRecipe(unknown.clone())));
        }
    }
}
