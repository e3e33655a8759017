//! Which events are in a topic: a pure function of the recipe and the index.

use std::io::Write as _;
use std::time::Duration;

use model::{EpochMillis, EpochSeconds};

/// What a topic is filled with.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    /// How many.
    pub(crate) events: u64,
    pub(crate) postcodes: Vec<String>,
    /// When the first is ingested.
    pub(crate) start: EpochMillis,
    /// From the first ingestion to the last.
    pub(crate) span: Duration,
    /// How many seconds an event may lie before its ingestion.
    pub(crate) disorder: u64,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// Index of its postcode.
    pub(crate) postcode: usize,
    /// When it was ingested: the record's timestamp.
    pub(crate) ingested: EpochMillis,
    /// When it happened: its own timestamp.
    pub(crate) happened: EpochSeconds,
    user: u64,
    page: usize,
    session: u64,
}

const AREAS: [&str; 20] = [
    "SW", "EC", "N", "SE", "M", "B", "LS", "E", "BS", "G", "W", "NW", "EH", "L", "CF", "S", "OX", "CB", "BT",
    "YO",
];

const PAGES: [&str; 8] = [
    "index.html",
    "news/today",
    "sport/live",
    "weather",
    "shop/basket",
    "contact.html",
    "search",
    "help/topics",
];

/// Names that are all different: `SW1 1AA`, `EC1 2AA`, …
pub(crate) fn postcodes(count: usize) -> Vec<String> {
    let name = |number: usize| {
        let (area, district) = (AREAS[number % AREAS.len()], number / AREAS.len() + 1);
        format!("{area}{district} {}AA", number % 9 + 1)
    };
    (0..count).map(name).collect()
}

impl Recipe {
    /// The event number `index`.
    pub(crate) fn event(&self, index: u64) -> Event {
        let mut draw = Draw(mix(self.seed).wrapping_add(mix(!index)));
        let ingested = self.start.plus(self.span.mul_f64(index as f64 / self.events as f64));
        Event {
            postcode: draw.below(self.postcodes.len() as u64) as usize,
            ingested,
            happened: EpochSeconds(ingested.to_seconds().0 - draw.below(self.disorder) as i64),
            user: draw.below(10_000_000),
            page: draw.below(PAGES.len() as u64) as usize,
            session: draw.below(1 << 24),
        }
    }

    /// Writes the JSON of `event` in place of what is in `json`.
    pub(crate) fn write(&self, event: &Event, json: &mut Vec<u8>) {
        let Event { postcode, happened, user, page, session, .. } = event;
        let (postcode, page) = (&self.postcodes[*postcode], PAGES[*page]);
        json.clear();
        // Writing into memory does not fail.
        let _ = write!(
            json,
            r#"{{"user_id":{user},"postcode":"{postcode}","webpage":"www.website.com/{page}?s={session:06x}","timestamp":{}}}"#,
            happened.0
        );
    }
}

/// Random numbers that depend on seed and index only (SplitMix64: <https://prng.di.unimi.it/splitmix64.c>).
struct Draw(u64);

impl Draw {
    /// In `[0, limit)`; 0 if that is empty. The product's upper half: as even as it needs to be.
    const fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        ((mix(self.0) as u128 * limit as u128) >> 64) as u64
    }
}

const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use model::{Pageview, Postcode};

    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            seed: 1,
            events: 10_000,
            postcodes: postcodes(2000),
            start: EpochMillis(1_611_662_640_000),
            span: Duration::from_secs(1200),
            disorder: 10,
        }
    }

    #[test]
    fn events_are_valid_and_of_110_bytes() {
        let (recipe, mut json, mut bytes) = (recipe(), Vec::new(), 0);
        for index in 0..recipe.events {
            let event = recipe.event(index);
            recipe.write(&event, &mut json);
            let read = Pageview::parse(&json).unwrap();
            assert_eq!(read.postcode.as_str(), recipe.postcodes[event.postcode]);
            assert_eq!(read.timestamp, event.happened);
            assert!((95..=120).contains(&json.len()), "{}", String::from_utf8_lossy(&json));
            bytes += json.len();
        }
        assert!((107..=113).contains(&(bytes / 10_000)), "{bytes}");
    }

    #[test]
    fn events_are_ingested_in_order_and_happened_up_to_ten_seconds_before() {
        let recipe = recipe();
        let mut last = recipe.start;
        let mut ages = HashSet::new();
        for index in 0..recipe.events {
            let Event { ingested, happened, .. } = recipe.event(index);
            assert!(last <= ingested && ingested < recipe.start.plus(recipe.span));
            let age = ingested.since(happened.to_millis());
            assert!(happened.to_millis() <= ingested && age < Duration::from_secs(10));
            ages.insert(age.as_secs());
            last = ingested;
        }
        assert_eq!(ages.len(), 10);
    }

    #[test]
    fn postcodes_are_valid_and_different() {
        let names: HashSet<Postcode> =
            postcodes(20_000).iter().map(|name| Postcode::parse(name).unwrap()).collect();
        assert_eq!(names.len(), 20_000);
    }
}
