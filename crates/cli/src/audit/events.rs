//! The events of `raw/`: the objects hold as many as the ledger says.

use indicatif::HumanCount;
use s3_sink::ledger::Object;

use super::check::{Check, Status};
use crate::objects::Unread;

/// The check, given one object after the other.
#[derive(Debug)]
pub(super) struct EventsCheck {
    check: Check,
    objects: u64,
    events: u64,
}

impl EventsCheck {
    pub(super) fn new() -> Self {
        Self { check: Check::new("raw/ is as listed"), objects: 0, events: 0 }
    }

    /// Adds the number of events that were read in the object `key`, `listed` in the ledger or not.
    pub(super) fn add(&mut self, key: &str, listed: Option<&Object>, events: Result<u64, Unread>) {
        match events {
            Ok(events) => {
                if let Some(Object { records, .. }) = listed.filter(|object| object.records != events) {
                    let words = format!("{key} holds {events} events; the ledger says {records}");
                    self.check.find(Status::Violated, words);
                }
                self.objects += 1;
                self.events += events;
            }
            Err(unread) => self.check.find_unread(key, &unread),
        }
    }

    pub(super) fn finish(mut self) -> Check {
        let [events, objects] = [self.events, self.objects].map(HumanCount);
        self.check.compared =
            format!("{events} events in {objects} objects, their numbers with the ledger's");
        self.check.numbers.extend([("objects", self.objects), ("events", self.events)]);
        self.check
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger::tests::entry;
    use super::*;

    fn check(found: Vec<Result<u64, Unread>>) -> Check {
        let listed = entry("pageviews", 0, 9, &[("raw/dt=2026-11-24/hour=13", 5, None)]).objects()[0].clone();
        let mut check = EventsCheck::new();
        found.into_iter().for_each(|events| check.add(&listed.key, Some(&listed), events));
        check.finish()
    }

    #[test]
    fn as_many_events_as_listed_are_ok_and_others_a_violation() {
        assert_eq!(check(vec![Ok(5)]).status, Status::Ok);
        assert_eq!(check(vec![Ok(4)]).status, Status::Violated);
        assert_eq!(check(vec![Ok(6)]).status, Status::Violated);
    }

    #[test]
    fn what_cannot_be_read_is_a_finding_beside_the_others() {
        let damaged = check(vec![Err(Unread::Damaged(anyhow::anyhow!("bad gzip"))), Ok(5)]);
        assert_eq!(
            (damaged.status, damaged.findings.len(), damaged.numbers["events"]),
            (Status::Violated, 1, 5)
        );
        assert_eq!(check(vec![Err(Unread::Gone), Ok(5)]).status, Status::NotProvable);
    }

    #[test]
    fn an_object_without_an_entry_is_read_for_the_receipts_only() {
        let mut check = EventsCheck::new();
        check.add("raw/_SUCCESS", None, Err(Unread::Format));
        check.add("raw/x.ndjson", None, Ok(3));
        assert_eq!(check.finish().status, Status::NotProvable);
    }
}
