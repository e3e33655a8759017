//! Which events a load consists of: a pure function of seed, index and the time they are of.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use model::EpochMillis;

use super::pace::Request;
use crate::receipts::IdSpace;

/// The rules that every event of a load follows.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    seed: u64,
    first_user_id: u64,
    postcodes: Vec<String>,
    /// How far behind the time of its request an event may be.
    disorder: Duration,
    /// The chance, out of 2^64, that an event is [`LATE`].
    late: u64,
    ids: Ids,
}

/// By what a retry is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    /// By nothing.
    None,
    /// By the `event_id` of each event.
    OfEvents,
    /// By the `Idempotency-Key` of each request.
    OfRequests,
}

/// How old a late event is: older than any sensible grace time.
const LATE: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(3600));

const AREAS: [&str; 20] = [
    "SW", "EC", "N", "SE", "M", "B", "LS", "E", "BS", "G", "W", "NW", "EH", "L", "CF", "S", "OX", "CB", "BT",
    "YO",
];

const PAGES: [&str; 8] = [
    "index.html",
    "news",
    "sport",
    "weather",
    "search?q=postcode",
    "shop/basket",
    "about/contact.html",
    "help/faq",
];

impl Recipe {
    pub(super) fn new(seed: u64, postcodes: usize, disorder: Duration, late_percent: f64, ids: Ids) -> Self {
        Self {
            seed,
            first_user_id: IdSpace::of(seed).first,
            postcodes: (0..postcodes).map(postcode).collect(),
            disorder,
            late: (late_percent / 100.0 * u64::MAX as f64) as u64,
            ids,
        }
    }

    /// Appends the JSON object of the event `index` in a request of the time `now`.
    fn write_event(&self, index: u64, now: EpochMillis, to: &mut BytesMut) {
        let mut draw = Draw::new(self.seed, index);
        let user_id = self.first_user_id + index;
        // The square favours the first: a few postcodes and pages have most of the traffic.
        let postcode = &self.postcodes[draw.below(self.postcodes.len(), 2)];
        let page = PAGES[draw.below(PAGES.len(), 2)];
        let age = if draw.next() < self.late {
            draw.between(LATE.0, LATE.1)
        } else {
            draw.between(Duration::ZERO, self.disorder)
        };
        let timestamp = now.minus(age).to_seconds().0;
        // Writing into memory does not fail.
        let _ = write!(
            to,
            r#"{{"user_id":{user_id},"postcode":"{postcode}","webpage":"www.website.com/{page}","timestamp":{timestamp}"#
        );
        if self.ids == Ids::OfEvents {
            let _ = write!(to, r#","event_id":"generated-{user_id}""#);
        }
        to.put_u8(b'}');
    }

    /// The `Idempotency-Key` of a request, if it has one.
    pub(super) fn key(&self, request: Request) -> Option<String> {
        (self.ids == Ids::OfRequests).then(|| format!("generated-{}", self.first_user_id + request.first))
    }

    /// Appends the body of a request of the time `now`: an object for one event, else an array.
    pub(super) fn write_body(&self, request: Request, now: EpochMillis, to: &mut BytesMut) {
        let Request { first, count, .. } = request;
        if count == 1 {
            return self.write_event(first, now, to);
        }
        to.put_u8(b'[');
        for index in first..first + count {
            if index > first {
                to.put_u8(b',');
            }
            self.write_event(index, now, to);
        }
        to.put_u8(b']');
    }
}

/// Names that are all different, like London's: `SW1`, `EC1`, …, `SW2`, …, and `SW1 1` after the 99th district.
fn postcode(number: usize) -> String {
    let (area, rest) = (AREAS[number % AREAS.len()], number / AREAS.len());
    let (district, sector) = (rest % 99 + 1, rest / 99);
    if sector == 0 { format!("{area}{district}") } else { format!("{area}{district} {sector}") }
}

/// Random numbers that depend on seed and index only, whichever connection sends the event (SplitMix64:
/// <https://prng.di.unimi.it/splitmix64.c>).
struct Draw(u64);

impl Draw {
    const fn new(seed: u64, index: u64) -> Self {
        Self(mix(seed).wrapping_add(mix(!index)))
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// In `[0, 1)`.
    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `[0, limit)`; the higher the `power`, the more often a low one.
    fn below(&mut self, limit: usize, power: i32) -> usize {
        (self.fraction().powi(power) * limit as f64) as usize
    }

    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + (high - low).mul_f64(self.fraction())
    }
}

const fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use model::{Pageview, Postcode};

    use super::*;

    const NOW: EpochMillis = EpochMillis(1_795_525_200_000);

    fn recipe(seed: u64, late_percent: f64, ids: Ids) -> Recipe {
        Recipe::new(seed, 50, Duration::from_secs(10), late_percent, ids)
    }

    fn batch(recipe: &Recipe, first: u64, count: u64) -> Vec<serde_json::Value> {
        let mut json = BytesMut::new();
        let due = Duration::ZERO;
        recipe.write_body(Request { first, count, due }, NOW, &mut json);
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn events_depend_on_seed_and_index_and_not_on_the_batch() {
        let whole = batch(&recipe(7, 1.0, Ids::None), 0, 100);
        let parts =
            [batch(&recipe(7, 1.0, Ids::None), 0, 60), batch(&recipe(7, 1.0, Ids::None), 60, 40)].concat();
        assert_eq!(whole, parts);
        assert_ne!(whole, batch(&recipe(8, 1.0, Ids::None), 0, 100));
    }

    #[test]
    fn every_event_is_valid_and_has_a_user_of_its_own() {
        let (space, mut json, mut users) = (IdSpace::of(7), BytesMut::new(), HashSet::new());
        for index in 0..1000 {
            json.clear();
            recipe(7, 5.0, if index % 2 == 0 { Ids::OfEvents } else { Ids::None })
                .write_event(index, NOW, &mut json);
            let pageview = Pageview::parse(&json).unwrap();
            assert_eq!(space.index(pageview.user_id), Some(index));
            assert!(users.insert(pageview.user_id));
        }
    }

    #[test]
    fn ages_keep_to_disorder_and_the_share_that_is_late() {
        let ages = |late| -> Vec<i64> {
            let events = batch(&recipe(1, late, Ids::None), 0, 10_000);
            events.iter().map(|event| NOW.to_seconds().0 - event["timestamp"].as_i64().unwrap()).collect()
        };
        assert!(ages(0.0).into_iter().all(|age| (0..=10).contains(&age)));
        let late =
            ages(10.0).into_iter().filter(|age| *age > 10).inspect(|age| assert!((600..=3600).contains(age)));
        assert!((800..1200).contains(&late.count()));
    }

    #[test]
    fn postcodes_are_valid_and_different() {
        let postcodes: HashSet<_> =
            (0..1_000_000).map(|number| Postcode::parse(&postcode(number)).unwrap()).collect();
        assert_eq!(postcodes.len(), 1_000_000);
    }

    #[test]
    fn a_key_is_a_requests_own_and_leaves_its_events_without_ids() {
        let recipe = recipe(1, 0.0, Ids::OfRequests);
        let key = |first| recipe.key(Request { first, count: 10, due: Duration::ZERO });
        assert!(key(0).is_some_and(|key| key.len() <= 50) && key(0) != key(10));
        let mut json = BytesMut::new();
        recipe.write_event(0, NOW, &mut json);
        assert!(!String::from_utf8_lossy(&json).contains("event_id"));
    }
}
