//! What was sent, and what was not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use indicatif::HumanCount;
use serde::Serialize;

use super::letter::Left;

/// The sum of a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    dry_run: bool,
    sent: u64,
    by_reason: BTreeMap<String, u64>,
    /// Those that the command has answered with an empty line.
    dropped: u64,
    left: BTreeMap<Left, u64>,
    /// Objects that are no longer there.
    pub(super) gone: Vec<String>,
}

impl Report {
    pub(super) fn new(dry_run: bool) -> Self {
        Self { dry_run, ..Self::default() }
    }

    /// A dead letter stays.
    pub(super) fn leave(&mut self, left: Left) {
        *self.left.entry(left).or_default() += 1;
    }

    /// A transaction was committed, of dead letters with these reasons.
    pub(super) fn sent(&mut self, reasons: Vec<String>, dropped: u64) {
        self.dropped += dropped;
        for reason in reasons {
            self.sent += 1;
            *self.by_reason.entry(reason).or_default() += 1;
        }
    }

    /// One line.
    pub(super) fn words(&self) -> String {
        let verb = if self.dry_run { "would be sent" } else { "sent back" };
        format!("{} {verb}", HumanCount(self.sent))
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("dead letters: {}", self.words());
        // Writing into memory does not fail.
        for (reason, count) in &self.by_reason {
            let _ = write!(text, "\n  {reason:<26} {:>12}", HumanCount(*count).to_string());
        }
        if self.dropped > 0 {
            let _ = write!(text, "\nleft out by the command: {}", HumanCount(self.dropped));
        }
        for (left, count) in &self.left {
            let _ = write!(text, "\nnot sent: {}, as {}", HumanCount(*count), left.words());
        }
        for key in &self.gone {
            let _ = write!(text, "\nnot sent: what was in {key}, which was deleted");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_by_reason() {
        let mut report = Report::new(false);
        report.sent(vec!["tombstone".to_owned(), "too_large".to_owned(), "tombstone".to_owned()], 1);
        report.leave(Left::Cut);
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(
            (&json["sent"], &json["by_reason"]["tombstone"], &json["left"]["cut"]),
            (&3.into(), &2.into(), &1.into())
        );
        let text = report.text();
        for words in ["3 sent back", "left out by the command: 1", "not sent: 1, as only their beginning"] {
            assert!(text.contains(words), "{text}");
        }
        assert!(Report::new(true).text().contains("0 would be sent"));
    }
}
