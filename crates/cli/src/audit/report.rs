//! An audit as people and programs read it.

use std::fmt::Write as _;

use serde::Serialize;

use super::check::{Check, Status, worst};

/// How many findings of one check are printed; JSON has them all.
const SHOWN: usize = 10;

/// What an audit has looked at, besides the ledger.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Whether receipts were held against `raw/`.
    pub(super) receipts: bool,
    /// What a deep audit has read, in words.
    pub(super) deep: Option<String>,
    /// What cannot be proved, or not any more.
    pub(super) unproved: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    verdict: Status,
    words: String,
    checks: &'a [Check],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    unproved: &'a [String],
}

/// For programs.
pub(super) fn json(checks: &[Check], scope: &Scope) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Document {
        verdict: worst(checks),
        words: verdict(checks, scope),
        checks,
        unproved: &scope.unproved,
    })
}

/// A table of the checks, what they found, and the verdict.
pub(super) fn text(checks: &[Check], scope: &Scope) -> String {
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = format!("{:<width$}  {:<12}  compared\n", "check", "result");
    for Check { name, status, compared, findings, .. } in checks {
        // Writing into memory does not fail.
        let _ = writeln!(text, "{name:<width$}  {status:<12}  {compared}");
        for finding in findings.iter().take(SHOWN) {
            let _ = writeln!(text, "    - {finding}");
        }
        if findings.len() > SHOWN {
            let _ = writeln!(text, "    - and {} more, which --json lists", findings.len() - SHOWN);
        }
    }
    let _ = write!(text, "\n{}", verdict(checks, scope));
    if !scope.unproved.is_empty() {
        text += "\n\nWhat cannot be proved, or not any more:";
    }
    for words in &scope.unproved {
        let _ = write!(text, "\n    - {words}");
    }
    text
}

/// The verdict in words.
fn verdict(checks: &[Check], scope: &Scope) -> String {
    let worst = worst(checks);
    let names =
        checks.iter().filter(|check| check.status == worst).map(|check| format!("\"{}\"", check.name));
    let names = names.collect::<Vec<_>>().join(", ");
    match (worst, &scope.deep) {
        (Status::Ok, Some(looked_at)) => {
            let accepted = if scope.receipts { " that was answered 202" } else { "" };
            format!(
                "The promise holds: every event{accepted} is in raw/ once, byte for byte, and every minute is counted \
                 right. Read and counted again: {looked_at}."
            )
        }
        (Status::Ok, None) if scope.receipts => {
            "The promise holds: every event that was answered 202 is in raw/ once, and every event is counted once. raw/, \
             aggregates/ and late/ were read."
                .to_owned()
        }
        (Status::Ok, None) => "The promise holds, by the ledger: every event is in raw/ once and counted once. \
                               aggregates/ and late/ were read; the contents of raw/ are as the ledger has them and \
                               were not read (--deep reads them). Whether every 202 has reached Kafka only receipts \
                               can tell (pageviews generate --receipts)."
            .to_owned(),
        (Status::NotProvable, _) => {
            format!("Not provable yet: nothing is violated, but this is not settled: {names}.")
        }
        (Status::Violated, _) => format!("The promise is VIOLATED: {names}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(status: Status) -> [Check; 2] {
        let mut bad = Check::new("b");
        (0..12).for_each(|number| bad.find(status, format!("finding {number}")));
        [Check { compared: "1 = 1".to_owned(), ..Check::new("all is well") }, bad]
    }

    fn receipts() -> Scope {
        Scope { receipts: true, ..Scope::default() }
    }

    #[test]
    fn a_table_shows_checks_and_the_first_findings() {
        let text = text(&checks(Status::Violated), &Scope::default());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "check        result        compared");
        assert_eq!(lines[1], "all is well  OK            1 = 1");
        assert_eq!(lines[12], "    - finding 9");
        assert_eq!(lines[13], "    - and 2 more, which --json lists");
        assert_eq!(lines.last(), Some(&"The promise is VIOLATED: \"b\"."));
    }

    #[test]
    fn programs_get_every_finding() {
        let json: serde_json::Value =
            serde_json::from_str(&json(&checks(Status::NotProvable), &receipts()).unwrap()).unwrap();
        assert_eq!(json["verdict"], "not_provable");
        assert_eq!(json["checks"][1]["findings"].as_array().unwrap().len(), 12);
    }

    #[test]
    fn the_promise_about_202_is_claimed_with_receipts_only() {
        assert!(verdict(&[Check::new("x")], &receipts()).contains("answered 202"));
        let ledger_only = verdict(&[Check::new("x")], &Scope::default());
        assert!(ledger_only.contains("only receipts can tell"), "{ledger_only}");
        assert!(ledger_only.contains("raw/ are as the ledger has them and were not read"), "{ledger_only}");
    }

    #[test]
    fn a_deep_audit_says_what_it_read_and_what_cannot_be_proved() {
        let scope = Scope {
            deep: Some("7 records in 2 objects (all times)".to_owned()),
            unproved: vec!["3 records are older".to_owned()],
            ..receipts()
        };
        let text = text(&[Check::new("x")], &scope);
        assert!(text.contains("every event that was answered 202 is in raw/ once, byte for byte"), "{text}");
        assert!(text.contains("Read and counted again: 7 records in 2 objects (all times)."), "{text}");
        assert!(
            text.ends_with("What cannot be proved, or not any more:\n    - 3 records are older"),
            "{text}"
        );
        let json: serde_json::Value =
            serde_json::from_str(&json(&[Check::new("x")], &scope).unwrap()).unwrap();
        assert_eq!(json["unproved"][0], "3 records are older");
    }
}
