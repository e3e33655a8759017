//! What happens to which request: decided from its method and its key alone, and from dice with a seed.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::hold::{Holder, Moment};

/// What happens to some requests.
#[derive(Debug, Clone)]
pub struct Rule {
    /// To which.
    pub requests: Requests,
    /// To how many of them.
    pub often: Often,
    /// What.
    pub fault: Fault,
}

/// Some requests.
#[derive(Debug, Clone)]
pub struct Requests {
    method: Option<Method>,
    prefix: String,
}

/// How many of the requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Often {
    /// All.
    Always,
    /// The next so many.
    Times(u64),
    /// Each with this probability.
    Share(f64),
}

/// What can happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is answered 500 `InternalError`, and changes nothing.
    InternalError,
    /// It is answered 503 `SlowDown`, and changes nothing.
    SlowDown,
    /// It is answered 403 `AccessDenied`, and changes nothing.
    AccessDenied,
    /// The connection is reset once it was read; it changes nothing.
    Lost,
    /// S3 does what it asks for, and the connection is reset instead of an answer.
    AnswerLost,
    /// It is answered never.
    Hang,
    /// It reaches S3 after so long, also if its sender has given up, or is dead.
    Slow(Duration),
}

/// What to do with one request.
#[derive(Debug)]
pub(super) enum Act {
    Pass,
    Fail(Fault),
    Hold(Moment, Holder),
}

/// The rules of the moment.
pub(super) struct Rules {
    rules: Vec<Rule>,
    holds: Vec<(Requests, Moment, Holder)>,
    dice: StdRng,
    happened: BTreeMap<Fault, u64>,
}

impl Rule {
    /// `fault` happens to `requests` this `often`.
    #[must_use]
    pub const fn new(requests: Requests, often: Often, fault: Fault) -> Self {
        Self { requests, often, fault }
    }
}

impl Requests {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self { method: None, prefix: String::new() }
    }

    /// Every attempt to create an object below `prefix`.
    #[must_use]
    pub fn put(prefix: &str) -> Self {
        Self { method: Some(Method::PUT), prefix: prefix.to_owned() }
    }

    fn include(&self, method: &Method, key: &str) -> bool {
        self.method.as_ref().is_none_or(|of| of == method) && key.starts_with(&self.prefix)
    }
}

impl Rules {
    pub(super) fn new(seed: u64) -> Self {
        let (rules, holds) = (Vec::new(), Vec::new());
        Self { rules, holds, dice: StdRng::seed_from_u64(seed), happened: BTreeMap::new() }
    }

    pub(super) fn replace(&mut self, rules: impl IntoIterator<Item = Rule>) {
        self.rules = rules.into_iter().collect();
    }

    pub(super) fn hold(&mut self, requests: Requests, moment: Moment, holder: Holder) {
        self.holds.push((requests, moment, holder));
    }

    pub(super) fn happened(&self) -> BTreeMap<Fault, u64> {
        self.happened.clone()
    }

    /// What to do with a request for `key`, which is empty for a list.
    pub(super) fn act(&mut self, method: &Method, key: &str) -> Act {
        self.holds.retain(|(.., holder)| !holder.is_closed());
        let held = self.holds.iter().find(|(requests, ..)| requests.include(method, key));
        if let Some((_, moment, holder)) = held {
            return Act::Hold(*moment, holder.clone());
        }
        let dice = &mut self.dice;
        let struck = self.rules.iter_mut().find_map(|Rule { requests, often, fault }| {
            (requests.include(method, key) && often.take(dice)).then_some(*fault)
        });
        let Some(fault) = struck else { return Act::Pass };
        *self.happened.entry(fault).or_default() += 1;
        Act::Fail(fault)
    }
}

impl Often {
    /// Whether it is this request's turn.
    fn take(&mut self, dice: &mut StdRng) -> bool {
        match self {
            Self::Always => true,
            Self::Times(left) => {
                let now = *left > 0;
                *left = left.saturating_sub(1);
                now
            }
            Self::Share(share) => dice.random_bool(*share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: impl IntoIterator<Item = Rule>) -> Rules {
        let mut all = Rules::new(7);
        all.replace(rules);
        all
    }

    fn fault(act: &Act) -> Option<Fault> {
        if let Act::Fail(fault) = act { Some(*fault) } else { None }
    }

    #[test]
    fn the_first_rule_whose_turn_it_is_decides() {
        let mut rules = rules([
            Rule::new(Requests::put("raw/"), Often::Times(1), Fault::Lost),
            Rule::new(Requests::all(), Often::Always, Fault::Hang),
        ]);
        let acts = ["raw/a", "raw/b", "late/c"].map(|key| fault(&rules.act(&Method::PUT, key)));
        assert_eq!(acts, [Some(Fault::Lost), Some(Fault::Hang), Some(Fault::Hang)]);
        assert_eq!(rules.happened(), BTreeMap::from([(Fault::Lost, 1), (Fault::Hang, 2)]));
    }

    #[test]
    fn method_and_prefix_both_count() {
        let mut rules = rules([Rule::new(Requests::put("raw/"), Often::Always, Fault::Lost)]);
        for (method, key) in [(Method::GET, "raw/a"), (Method::PUT, "ledger/raw/"), (Method::PUT, "")] {
            assert!(matches!(rules.act(&method, key), Act::Pass), "{method} {key}");
        }
    }

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let throw = || {
            let mut rules = rules([Rule::new(Requests::all(), Often::Share(0.5), Fault::SlowDown)]);
            (0..100).map(|_| fault(&rules.act(&Method::PUT, "a")).is_some()).collect::<Vec<_>>()
        };
        let thrown = throw();
        assert!(thrown.contains(&true) && thrown.contains(&false));
        assert_eq!(thrown, throw());
    }

    #[test]
    fn a_hold_goes_first_and_ends_when_it_is_dropped() {
        let mut rules = rules([Rule::new(Requests::all(), Often::Always, Fault::Lost)]);
        let (hold, holder) = super::super::hold::channel();
        rules.hold(Requests::put("raw/"), Moment::Before, holder);
        assert!(matches!(rules.act(&Method::PUT, "raw/a"), Act::Hold(Moment::Before, _)));
        assert_eq!(fault(&rules.act(&Method::PUT, "late/a")), Some(Fault::Lost));
        drop(hold);
        assert_eq!(fault(&rules.act(&Method::PUT, "raw/a")), Some(Fault::Lost));
    }
}
