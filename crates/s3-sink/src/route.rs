//! Which object of its range a record goes to: a pure function of the record, the format, the layout and the rules,
//! so that whoever writes a range again writes the same objects.

use std::borrow::Cow;

use model::{EpochMillis, PageviewAggregate, dead_letter};
use time::Date;

use crate::Kind;
use crate::ledger::Recipe;
use crate::object_name::{self, ObjectName};
use crate::record::Record;

/// Sorts the records of one writer into objects, by one recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Router {
    kind: Kind,
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
    /// Into a line of its own.
    Line {
        /// The object.
        slot: Slot,
        /// What it counts, if it is a count.
        pageview_count: Option<u64>,
    },
    /// Into an envelope in [`Slot::DeadLetter`].
    Envelope {
        /// Why.
        reason: Cow<'a, str>,
    },
}

impl Router {
    /// What this release writes new ranges by.
    #[must_use]
    pub fn recipe() -> Recipe {
        Recipe { format: "ndjson.gz".to_owned(), layout: 1, rules: 1 }
    }

    /// A router of the writer `kind` for new ranges.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self { kind }
    }

    /// The router of the writer `kind` for a range that `recipe` was fixed for.
    ///
    /// # Errors
    /// [`UnknownRecipe`] when this release does not know it.
    pub fn by(kind: Kind, recipe: &Recipe) -> Result<Self, UnknownRecipe> {
        if *recipe == Self::recipe() { Ok(Self::new(kind)) } else { Err(UnknownRecipe(recipe.clone())) }
    }

    /// Where `record` goes. Rules 1:
    ///
    /// | the value is | raw | aggregates, late | dead_letters |
    /// | --- | --- | --- | --- |
    /// | null | `tombstone` | `tombstone` | envelope |
    /// | empty or blank | `empty` | `empty` | envelope |
    /// | with CR or LF in it | `line_break` | `line_break` | envelope |
    /// | no count | events | `malformed_aggregate` | envelope |
    /// | a count | events | the day of its window | envelope |
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
        if value.contains(&b'\n') || value.contains(&b'\r') {
            return poison("line_break");
        }
        if self.kind == Kind::Raw {
            return Route::Line { slot: Slot::Events, pageview_count: None };
        }
        match PageviewAggregate::parse(value) {
            Ok(aggregate) => Route::Line {
                slot: Slot::Day(aggregate.window_start.day()),
                pageview_count: Some(aggregate.pageview_count),
            },
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

impl Route<'_> {
    /// The object.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        match self {
            Self::Line { slot, .. } => *slot,
            Self::Envelope { .. } => Slot::DeadLetter,
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::record::{Header, NO_HEADERS};

    const COUNT: &[u8] = br#"{"postcode":"SW19","window_start":"2021-01-26T23:59:00","pageview_count":42}"#;
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

    fn routed(kind: Kind, value: Option<&[u8]>) -> String {
        match Router::new(kind).route(&record(value)) {
            Route::Envelope { reason } => reason.into_owned(),
            Route::Line { slot: Slot::Events, pageview_count: None } => "events".to_owned(),
            Route::Line { slot: Slot::Day(DAY), pageview_count: Some(42) } => "day".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_row_of_the_rules() {
        let rows: [(Option<&[u8]>, &str, &str); 8] = [
            (None, "tombstone", "tombstone"),
            (Some(b""), "empty", "empty"),
            (Some(b" \n"), "empty", "empty"),
            (Some(b"{\n}"), "line_break", "line_break"),
            (Some(b"{}\r"), "line_break", "line_break"),
            (Some(b"no json"), "events", "malformed_aggregate"),
            (Some(b"{\"pageview_count\":1}"), "events", "malformed_aggregate"),
            (Some(COUNT), "events", "day"),
        ];
        for (value, raw, counts) in rows {
            assert_eq!(routed(Kind::Raw, value), raw, "{value:?}");
            assert_eq!(routed(Kind::Aggregates, value), counts, "{value:?}");
            assert_eq!(routed(Kind::Late, value), counts, "{value:?}");
            assert_eq!(routed(Kind::DeadLetters, value), "unknown", "{value:?}");
        }
    }

    #[test]
    fn a_dead_letter_keeps_the_reason_it_came_with() {
        let headers = [reason(b"not_an_object"), Header { name: "x".into(), value: None }];
        let route = Router::new(Kind::DeadLetters).route(&Record { headers: &headers, ..record(None) });
        assert_eq!(route, Route::Envelope { reason: "not_an_object".into() });
    }

    #[test]
    fn the_last_reason_is_the_aggregators() {
        let headers = [reason(b"a client's own header of that name"), reason(b"not_an_object")];
        let route = Router::new(Kind::DeadLetters).route(&Record { headers: &headers, ..record(None) });
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
            let key = Router::new(kind).key(slot, EpochMillis(1_795_525_200_123), &name);
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
    fn an_unknown_recipe_is_refused() {
        assert!(Router::by(Kind::Raw, &Router::recipe()).is_ok());
        for unknown in [
            Recipe { format: "parquet".to_owned(), ..Router::recipe() },
            Recipe { layout: 2, ..Router::recipe() },
            Recipe { rules: 2, ..Router::recipe() },
        ] {
            assert_eq!(Router::by(Kind::Raw, &unknown), Err(UnknownRecipe(unknown.clone())));
        }
    }
}
