//! What an audit says: checks, each with its verdict, what was compared, and what was found.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::Verdict;
use crate::objects::Unread;

/// The verdict of one check. The worst of all is the audit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Ok,
    /// What it takes to tell is not there, or not yet.
    NotProvable,
    Violated,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) status: Status,
    /// What was compared, with numbers.
    pub(crate) compared: String,
    /// What is wrong, or missing for a verdict.
    pub(crate) findings: Vec<String>,
    /// The numbers again, for programs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) numbers: BTreeMap<&'static str, u64>,
}

impl Check {
    /// A check that has found nothing yet.
    pub(super) fn new(name: impl Into<String>) -> Self {
        let (name, compared) = (name.into(), String::new());
        Self { name, status: Status::Ok, compared, findings: Vec::new(), numbers: BTreeMap::new() }
    }

    pub(super) fn find(&mut self, status: Status, finding: impl Into<String>) {
        self.status = self.status.max(status);
        self.findings.push(finding.into());
    }

    /// An object that should hold something and cannot be read. Damage is what nobody mends; everything else leaves
    /// open what the object holds.
    pub(super) fn find_unread(&mut self, key: &str, unread: &Unread) {
        let status = match unread {
            Unread::Damaged(_) => Status::Violated,
            Unread::Gone | Unread::Format | Unread::Refused(_) => Status::NotProvable,
        };
        self.find(status, format!("{key} cannot be read: {unread}"));
    }
}

/// The worst status of `checks`.
pub(super) fn worst(checks: &[Check]) -> Status {
    checks.iter().map(|check| check.status).max().unwrap_or(Status::NotProvable)
}

impl From<Status> for Verdict {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::Good,
            Status::NotProvable => Self::Unproven,
            Status::Violated => Self::Bad,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "OK",
            Self::NotProvable => "NOT PROVABLE",
            Self::Violated => "VIOLATED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_verdict_and_no_check_is_no_proof() {
        let check = |status| Check { status, ..Check::new("x") };
        assert_eq!(worst(&[check(Status::Ok), check(Status::Ok)]), Status::Ok);
        assert_eq!(worst(&[check(Status::NotProvable), check(Status::Ok)]), Status::NotProvable);
        assert_eq!(worst(&[check(Status::Violated), check(Status::NotProvable)]), Status::Violated);
        assert_eq!(worst(&[]), Status::NotProvable);
    }

    #[test]
    fn a_finding_never_improves_a_check() {
        let mut check = Check::new("x");
        check.find(Status::Violated, "a");
        check.find(Status::NotProvable, "b");
        assert_eq!((check.status, check.findings.len()), (Status::Violated, 2));
    }

    #[test]
    fn only_damage_is_a_violation_of_what_cannot_be_read() {
        for (unread, status) in [
            (Unread::Damaged(anyhow::anyhow!("bad gzip")), Status::Violated),
            (Unread::Gone, Status::NotProvable),
            (Unread::Format, Status::NotProvable),
        ] {
            let mut check = Check::new("x");
            check.find_unread("raw/a", &unread);
            assert_eq!((check.status, check.findings.len()), (status, 1), "{unread}");
            assert!(check.findings[0].starts_with("raw/a cannot be read: "), "{:?}", check.findings);
        }
    }
}
