//! What a pageview means to a window: its postcode, its time, and whether it is a retry of another one.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

use model::{EpochSeconds, Pageview, Postcode};
use siphasher::sip128::{Hasher128, SipHasher13};

/// An event that can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Whose count it adds to.
    pub postcode: Postcode,
    /// When it happened.
    pub time: EpochSeconds,
    /// Known by it when it comes again; `None` where the client gave it no id.
    pub identity: Option<Identity>,
}

/// 128 bits of keyed hash over everything that tells an event from others: equal for the retry of an event, and
/// different for another event to which a careless client gave the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(pub u128);

/// Makes identities. The key is random, as clients choose what is hashed: with a fixed one, two events could be
/// constructed of which only one counts. Identities are comparable only where one key made them; none leaves the process.
#[derive(Debug, Clone)]
pub struct Identities {
    keyed: SipHasher13,
}

impl Default for Identities {
    fn default() -> Self {
        let random = || RandomState::new().hash_one(());
        Self { keyed: SipHasher13::new_with_keys(random(), random()) }
    }
}

impl Identities {
    /// The event of a pageview.
    #[must_use]
    pub fn event(&self, pageview: &Pageview<'_>) -> Event {
        let Pageview { postcode, timestamp: time, .. } = *pageview;
        Event { postcode, time, identity: pageview.event_id.as_deref().map(|id| self.identity(id, pageview)) }
    }

    fn identity(&self, event_id: &str, pageview: &Pageview<'_>) -> Identity {
        let Pageview { user_id, postcode, ref webpage, timestamp, .. } = *pageview;
        let mut hasher = self.keyed;
        // The hash of a `str` ends with a byte that no UTF-8 contains, so no two different tuples read the same.
        (event_id, webpage.as_ref(), user_id, postcode, timestamp.0).hash(&mut hasher);
        Identity(hasher.finish128().as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"user_id":1,"postcode":"N1","webpage":"a","timestamp":60,"event_id":"x"}"#;

    #[test]
    fn an_event_sent_again_is_known_and_any_other_with_its_id_is_not() {
        let identities = Identities::default();
        let identity = |json: &str| {
            let pageview = Pageview::parse(json.as_bytes()).expect("a pageview");
            identities.event(&pageview).identity.expect("an event id")
        };
        assert_eq!(identity(EVENT), identity(&EVENT.replace("\"N1\"", "\" n1\"")));
        for (from, to) in [
            ("\"user_id\":1", "\"user_id\":2"),
            ("N1", "N2"),
            ("\"a\"", "\"b\""),
            (":60", ":61"),
            ("\"x\"", "\"y\""),
            ("\"a\"", "\"ax\""),
        ] {
            assert_ne!(identity(EVENT), identity(&EVENT.replace(from, to)), "{from} {to}");
        }
    }

    #[test]
    fn another_process_hashes_with_another_key() {
        let pageview = Pageview::parse(EVENT.as_bytes()).expect("a pageview");
        assert_ne!(Identities::default().event(&pageview), Identities::default().event(&pageview));
    }

    #[test]
    fn an_event_without_an_id_has_no_identity() {
        let json = EVENT.replace(",\"event_id\":\"x\"", "");
        let pageview = Pageview::parse(json.as_bytes()).expect("a pageview");
        assert_eq!(Identities::default().event(&pageview).identity, None);
    }
}
