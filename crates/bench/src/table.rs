//! Tables in Markdown, of medians and of what they lie between.

use std::fmt::{Display, Write as _};

use crate::usage::Usage;

/// Runs of several subjects `S`, each of which was measured as `R`.
#[derive(Debug)]
pub(crate) struct Results<S, R> {
    runs: Vec<(S, R)>,
}

/// A quantity of a run, what it is called, and how it is written.
pub(crate) struct Column<R> {
    pub(crate) name: &'static str,
    pub(crate) of: fn(&R) -> f64,
    pub(crate) write: fn(f64) -> String,
}

/// What a run had to keep, and what it came to.
pub(crate) struct Target {
    text: String,
    value: f64,
    met: bool,
}

impl Target {
    /// `value` must not be lower than `limit`.
    pub(crate) fn at_least(limit: f64, text: impl Into<String>, value: f64) -> Self {
        Self { text: text.into(), value, met: value >= limit }
    }

    /// `value` must not be higher than `limit`.
    pub(crate) fn at_most(limit: f64, text: impl Into<String>, value: f64) -> Self {
        Self { text: text.into(), value, met: value <= limit }
    }
}

/// The targets that were measured.
pub(crate) fn targets(targets: impl IntoIterator<Item = Option<Target>>) -> String {
    let mut text = String::from("| target | measured | |\n| --- | --- | --- |\n");
    for Target { text: target, value, met } in targets.into_iter().flatten() {
        // Writing into memory does not fail.
        let _ = writeln!(text, "| {target} | {value:.3} | {} |", if met { "met" } else { "**missed**" });
    }
    text
}

impl<S, R> Default for Results<S, R> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<S: Copy + PartialEq + Display, R> Results<S, R> {
    /// Adds a run.
    pub(crate) fn add(&mut self, subject: S, run: R) {
        self.runs.push((subject, run));
    }

    /// A row for each of `subjects` that was measured; with `events`, where they are the same in all of its runs.
    pub(crate) fn table(
        &self,
        subjects: &[S],
        events: Option<fn(&R) -> u64>,
        columns: &[Column<R>],
    ) -> String {
        let names: String = columns.iter().map(|column| format!(" {} |", column.name)).collect();
        let rule = " --- |".repeat(columns.len() + usize::from(events.is_some()));
        let head = if events.is_some() { " events |" } else { "" };
        let mut text = format!("| median (lowest to highest) |{head}{names}\n| --- |{rule}\n");
        for subject in subjects {
            if let Some(run) = self.of(*subject).next() {
                let events = events.map(|events| format!(" {} M |", events(run) as f64 / 1e6));
                let cells: String =
                    columns.iter().map(|column| format!(" {} |", self.cell(*subject, column))).collect();
                let _ = writeln!(text, "| {subject} |{}{cells}", events.unwrap_or_default());
            }
        }
        text
    }

    /// The middle of a quantity; `None` if it was not measured.
    pub(crate) fn median(&self, subject: S, column: &Column<R>) -> Option<f64> {
        median(&mut self.of(subject).map(column.of).collect::<Vec<_>>())
    }

    /// How many times that of `other` the median of `one` is.
    pub(crate) fn ratio(&self, column: &Column<R>, one: S, other: S) -> Option<f64> {
        Some(self.median(one, column)? / self.median(other, column)?)
    }

    fn of(&self, subject: S) -> impl Iterator<Item = &R> {
        self.runs.iter().filter(move |(of, _)| *of == subject).map(|(_, run)| run)
    }

    fn cell(&self, subject: S, column: &Column<R>) -> String {
        let mut values: Vec<f64> = self.of(subject).map(column.of).collect();
        let middle = median(&mut values).map(column.write).unwrap_or_default();
        let ends = values.first().zip(values.last());
        match ends.map(|(lowest, highest)| ((column.write)(*lowest), (column.write)(*highest))) {
            Some((lowest, highest)) if lowest != highest => format!("{middle} ({lowest} to {highest})"),
            _ => middle,
        }
    }
}

/// Tells how a run went.
pub(crate) fn say(subject: impl Display, usage: &Usage) {
    eprintln!(
        "{subject}: {:.2} s, {:.2} M events/s, {:.2} CPU s per million, {} MB",
        usage.took.as_secs_f64(),
        usage.rate() / 1e6,
        usage.cpu_per_million(),
        usage.peak_rss / 1_000_000
    );
}

/// How a rate is written.
pub(crate) fn in_millions(rate: f64) -> String {
    if rate < 1e6 { format!("{:.0} k", rate / 1e3) } else { format!("{:.2} M", rate / 1e6) }
}

/// How memory is written.
pub(crate) fn in_megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

/// How a time is written.
pub(crate) fn in_seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

/// How anything else is written.
pub(crate) fn with_two_digits(value: f64) -> String {
    format!("{value:.2}")
}

/// The middle of `values`, which are put into order; of an even number the mean of the two.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Column<f64> = Column { name: "time", of: |time| *time, write: in_seconds };

    #[test]
    fn medians() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_table_has_medians_and_what_they_lie_between() {
        let mut results = Results::default();
        for (subject, time) in [("one", 4.0), ("other", 9.0), ("one", 2.0), ("one", 5.0)] {
            results.add(subject, time);
        }
        let text = results.table(&["one", "other", "absent"], Some(|_| 1_500_000), &[TIME]);
        let rows = "| median (lowest to highest) | events | time |\n| --- | --- | --- |\n\
                    | one | 1.5 M | 4.00 s (2.00 s to 5.00 s) |\n| other | 1.5 M | 9.00 s |\n";
        assert_eq!(text, rows);
        assert_eq!(results.ratio(&TIME, "other", "one"), Some(2.25));
        assert_eq!(results.ratio(&TIME, "absent", "one"), None);
    }

    #[test]
    fn a_target_is_met_at_its_limit_and_missed_beyond() {
        let text = targets([
            Some(Target::at_least(2.0, "fast", 2.0)),
            None,
            Some(Target::at_most(2.0, "small", 2.001)),
        ]);
        assert!(text.ends_with("| fast | 2.000 | met |\n| small | 2.001 | **missed** |\n"), "{text}");
    }
}
