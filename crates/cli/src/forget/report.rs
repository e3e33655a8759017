//! What was forgotten, and what still has to be.

use std::fmt::Write as _;

use indicatif::HumanCount;
use serde::Serialize;

use crate::Verdict;

/// What erasing from the bucket does not reach.
const WARNINGS: [&str; 2] = [
    "Kafka holds these events until retention drops them (retention.ms of the topics of events and dead letters)",
    "a bucket with versions keeps the old ones: a lifecycle rule, or deleting them by hand, ends that",
];

/// The sum of a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) dry_run: bool,
    /// How many objects were looked at.
    pub(super) objects: u64,
    pub(super) rewritten: u64,
    pub(super) deleted: u64,
    /// How many records were taken out.
    pub(super) records: u64,
    /// The documents below `ledger/forgotten/` that say so.
    pub(super) documents: Vec<String>,
    /// Objects that the sink may write again: to be looked at by another run.
    pub(super) later: Vec<String>,
    /// Objects that the ledger does not list.
    pub(super) unlisted: Vec<String>,
    /// Objects that could not be read or rewritten, and why.
    pub(super) failed: Vec<String>,
    warnings: [&'static str; 2],
}

impl Report {
    pub(super) fn new(dry_run: bool) -> Self {
        Self { dry_run, warnings: WARNINGS, ..Self::default() }
    }

    /// Good if nothing is left to be looked at.
    pub(super) fn verdict(&self) -> Verdict {
        if !self.failed.is_empty() {
            Verdict::Bad
        } else if self.later.is_empty() && self.unlisted.is_empty() {
            Verdict::Good
        } else {
            Verdict::Unproven
        }
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    pub(super) fn text(&self) -> String {
        let verb = if self.dry_run { "would be" } else { "were" };
        let mut text = format!(
            "{} records {verb} taken out of {} objects; {} objects {verb} deleted; {} were looked at",
            HumanCount(self.records),
            HumanCount(self.rewritten),
            HumanCount(self.deleted),
            HumanCount(self.objects)
        );
        // Writing into memory does not fail.
        for id in &self.documents {
            let _ = write!(text, "\nrecorded in ledger/forgotten/{id}.json");
        }
        for words in &self.failed {
            let _ = write!(text, "\nFAILED: {words}");
        }
        for key in &self.later {
            let _ = write!(
                text,
                "\nnot yet: {key} is the newest of its partition; run this again in a few minutes, or when another has followed"
            );
        }
        for key in &self.unlisted {
            let _ = write!(
                text,
                "\nleft alone: {key} is not in the ledger: it was written just now, or by somebody else"
            );
        }
        for warning in self.warnings {
            let _ = write!(text, "\nwarning: {warning}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_good_only_when_nothing_is_left() {
        let key = || vec!["raw/x".to_owned()];
        assert_eq!(Report::new(false).verdict(), Verdict::Good);
        assert_eq!(Report { later: key(), ..Report::new(false) }.verdict(), Verdict::Unproven);
        assert_eq!(Report { unlisted: key(), ..Report::new(false) }.verdict(), Verdict::Unproven);
        let failed = Report { failed: key(), later: key(), ..Report::new(false) };
        assert_eq!(failed.verdict(), Verdict::Bad);
        assert!(failed.text().contains("FAILED: raw/x") && failed.text().contains("not yet: raw/x"));
    }

    #[test]
    fn what_it_does_not_reach_is_always_said() {
        for text in [Report::new(true).text(), Report::new(true).json().unwrap()] {
            assert!(text.contains("retention") && text.contains("versions"), "{text}");
        }
    }
}
