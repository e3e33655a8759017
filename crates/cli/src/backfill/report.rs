//! What a comparison found, and what was done about it.

use std::fmt::Write as _;

use indicatif::HumanCount;
use serde::Serialize;

use super::compare::{self, Difference};
use super::count::Counted;
use crate::Verdict;

/// So many of what may be millions are told one by one; JSON has all.
const EXAMPLES: usize = 20;

/// The sum of a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// The minutes, in words.
    pub(super) span: String,
    /// The first and last hour of `raw/` that was read.
    hours: Option<(String, String)>,
    objects: u64,
    /// How many minutes of postcodes were compared.
    minutes: u64,
    pub(super) differences: Vec<Difference>,
    missing: u64,
    excess: u64,
    /// Why it may look different when everything has arrived.
    pub(super) unsettled: Vec<String>,
    /// Minutes of postcodes that are not closed.
    pub(super) open: u64,
    pub(super) lacks_events: Vec<String>,
    pub(super) lacks_counts: Vec<String>,
    /// Rows that were sent to the topic of late counts.
    pub(super) sent: u64,
    /// Objects of counts that take the place of those of these minutes.
    pub(super) written: Vec<String>,
    /// Why nothing was written.
    pub(super) refused: Vec<String>,
}

impl Report {
    pub(super) fn new(span: String, unsettled: &[String], counted: &Counted) -> Self {
        let differences = compare::differences(&counted.minutes);
        Self {
            span,
            hours: counted.hours.clone(),
            objects: counted.objects,
            minutes: counted.minutes.tallies.len() as u64,
            missing: differences.iter().map(|difference| difference.missing).sum(),
            excess: differences.iter().map(|difference| difference.excess).sum(),
            differences,
            unsettled: unsettled.to_vec(),
            open: counted.minutes.tallies.values().filter(|tally| tally.is_open).count() as u64,
            lacks_events: counted.lacks_events.clone(),
            lacks_counts: counted.lacks_counts.clone(),
            ..Self::default()
        }
    }

    /// Whether everything has arrived and been counted.
    const fn is_settled(&self) -> bool {
        self.unsettled.is_empty() && self.open == 0
    }

    /// Why rows for what is missing must not be sent: what is on its way would count twice.
    pub(super) fn against_missing(&self) -> Vec<String> {
        self.against(&self.lacks_counts)
    }

    /// Why a recount must not take the place of the counts: it may say less than they do.
    pub(super) fn against_recount(&self) -> Vec<String> {
        self.against(&self.lacks_events)
    }

    fn against(&self, lacks: &[String]) -> Vec<String> {
        let open = (self.open > 0).then(|| format!("{} minutes of postcodes are not closed", self.open));
        self.unsettled.iter().chain(&open).chain(lacks).cloned().collect()
    }

    /// Bad where a count is certainly wrong and was not mended.
    pub(super) fn verdict(&self) -> Verdict {
        let wrong = |count: u64, lacks: &[String]| count > 0 && lacks.is_empty() && self.is_settled();
        let is_mended = self.sent > 0;
        if !self.written.is_empty() {
            Verdict::Good
        } else if !self.refused.is_empty() {
            Verdict::Unproven
        } else if (wrong(self.missing, &self.lacks_counts) && !is_mended)
            || wrong(self.excess, &self.lacks_events)
        {
            Verdict::Bad
        } else if self.is_settled() && (self.differences.is_empty() || is_mended) {
            Verdict::Good
        } else {
            Verdict::Unproven
        }
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    pub(super) fn text(&self) -> String {
        let hours = self.hours.as_ref().map(|(first, last)| format!(" of raw/{first} to raw/{last}"));
        let mut text = format!(
            "{}: {} minutes of postcodes, counted again from {} objects{}: {} differ",
            self.span,
            HumanCount(self.minutes),
            HumanCount(self.objects),
            hours.unwrap_or_default(),
            HumanCount(self.differences.len() as u64)
        );
        // Writing into memory does not fail.
        for Difference { window_start, postcode, events, distinct, counted, missing, .. } in
            self.differences.iter().take(EXAMPLES)
        {
            let kind = if *missing > 0 { "MISSING" } else { "EXCESS" };
            let _ = write!(
                text,
                "\n  {kind:<7} {window_start}  {postcode:<16} {counted} counted, of {distinct} different events ({events} \
                 with retries)"
            );
        }
        if self.differences.len() > EXAMPLES {
            let _ = write!(text, "\n  and {} more (--json has all)", self.differences.len() - EXAMPLES);
        }
        if !self.differences.is_empty() {
            let _ = write!(
                text,
                "\nin all {} missing, {} in excess",
                HumanCount(self.missing),
                HumanCount(self.excess)
            );
        }
        for words in &self.unsettled {
            let _ = write!(text, "\nnot settled: {words} (--wait 2m waits)");
        }
        if self.open > 0 {
            let _ = write!(text, "\nnot closed: {} minutes of postcodes", HumanCount(self.open));
        }
        for words in &self.lacks_events {
            let _ = write!(text, "\nwhat is in excess proves nothing: {words}");
        }
        for words in &self.lacks_counts {
            let _ = write!(text, "\nwhat is missing proves nothing: {words}");
        }
        if self.sent > 0 {
            let _ = write!(
                text,
                "\n{} rows sent to the topic of late counts: once the sink has written them, the sums are right",
                HumanCount(self.sent)
            );
        }
        for key in &self.written {
            let _ = write!(
                text,
                "\nwritten: {key}\n  for these minutes read it instead of aggregates/ and late/; never add them up"
            );
        }
        for words in &self.refused {
            let _ = write!(text, "\nnothing was written: {words}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minutes::Tally;

    fn report(distinct: u64, counted: u64) -> Report {
        let mut found = Counted::default();
        let minute = ("2026-11-24T12:00:00".parse().unwrap(), "N1".parse().unwrap());
        let tally = Tally { events: distinct, distinct, counted, ..Tally::default() };
        found.minutes.tallies.insert(minute, tally);
        Report::new("an hour".to_owned(), &[], &found)
    }

    fn why() -> Vec<String> {
        vec!["why".to_owned()]
    }

    #[test]
    fn a_wrong_count_is_bad_only_if_it_is_certainly_wrong() {
        let (right, few, many) = (|| report(3, 3), || report(3, 2), || report(3, 4));
        for (report, verdict) in [
            (right(), Verdict::Good),
            (few(), Verdict::Bad),
            (many(), Verdict::Bad),
            (Report { unsettled: why(), ..right() }, Verdict::Unproven),
            (Report { unsettled: why(), ..few() }, Verdict::Unproven),
            (Report { open: 1, ..few() }, Verdict::Unproven),
            (Report { lacks_events: why(), ..few() }, Verdict::Bad),
            (Report { lacks_events: why(), ..many() }, Verdict::Unproven),
            (Report { lacks_counts: why(), ..few() }, Verdict::Unproven),
            (Report { lacks_counts: why(), ..many() }, Verdict::Bad),
            (Report { sent: 1, ..few() }, Verdict::Good),
            (Report { refused: why(), ..few() }, Verdict::Unproven),
            (Report { written: why(), ..many() }, Verdict::Good),
        ] {
            assert_eq!(report.verdict(), verdict, "{report:?}");
        }
    }

    #[test]
    fn nothing_is_written_that_could_count_twice_or_say_less() {
        assert!(report(3, 2).against_missing().is_empty() && report(3, 4).against_recount().is_empty());
        let open = Report { open: 1, ..report(3, 2) };
        let unsettled = Report { unsettled: why(), ..report(3, 2) };
        for report in [open, unsettled] {
            assert!(!report.against_missing().is_empty() && !report.against_recount().is_empty());
        }
        let lacks = Report { lacks_events: why(), ..report(3, 2) };
        assert!(lacks.against_missing().is_empty() && !lacks.against_recount().is_empty());
        let lacks = Report { lacks_counts: why(), ..report(3, 2) };
        assert!(!lacks.against_missing().is_empty() && lacks.against_recount().is_empty());
    }

    #[test]
    fn every_difference_is_told() {
        let text = report(3, 2).text();
        assert!(text.contains("MISSING 2026-11-24T12:00:00  N1"), "{text}");
        assert!(report(3, 4).text().contains("EXCESS "));
        let json: serde_json::Value = serde_json::from_str(&report(3, 4).json().unwrap()).unwrap();
        assert_eq!((&json["excess"], &json["differences"][0]["excess"]), (&1.into(), &1.into()));
    }
}
