//! How fast: what counters have grown by, over all replicas and over their restarts.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::sample::{Counter, Sample};

/// How far back is remembered.
pub(crate) const HISTORY: Duration = Duration::from_secs(300);
/// One point of the curve.
const SLOT: Duration = Duration::from_secs(5);

/// What a counter has grown by. One that is lower than before has begun again, from zero.
pub(crate) fn increase(before: f64, after: f64) -> f64 {
    if after < before { after } else { after - before }
}

/// What all replicas together have counted since we began to look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    counters: BTreeMap<Counter, f64>,
    answers: BTreeMap<u64, f64>,
}

impl Totals {
    /// Adds what one replica has counted between two looks.
    pub(crate) fn add(&mut self, before: &Sample, after: &Sample) {
        for (counter, value) in &after.counters {
            *self.counters.entry(*counter).or_default() += increase(before.counter(*counter), *value);
        }
        // The buckets of one histogram begin again together.
        let all = |sample: &Sample| sample.answers.get(&u64::MAX).copied().unwrap_or(0.0);
        let has_begun_again = all(after) < all(before);
        for (bound, value) in &after.answers {
            let base = if has_begun_again { 0.0 } else { before.answers.get(bound).copied().unwrap_or(0.0) };
            *self.answers.entry(*bound).or_default() += value - base;
        }
    }

    pub(crate) fn counter(&self, counter: Counter) -> f64 {
        self.counters.get(&counter).copied().unwrap_or(0.0)
    }
}

/// When somebody looked, and what there was.
type Look = (Instant, Totals);

/// [`Totals`] of the last minutes.
#[derive(Debug)]
pub(crate) struct History {
    began: Instant,
    looks: VecDeque<Look>,
}

impl History {
    /// One that begins at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, looks: VecDeque::new() }
    }

    /// Remembers a look, later than all before it.
    pub(crate) fn push(&mut self, now: Instant, totals: Totals) {
        let keep = HISTORY + 2 * SLOT;
        while self.looks.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > keep) {
            self.looks.pop_front();
        }
        self.looks.push_back((now, totals));
    }

    /// What `counter` was at `time`, between two looks in proportion; `None` before the first and after the last.
    fn at(&self, time: Instant, counter: Counter) -> Option<f64> {
        let later = self.looks.partition_point(|(at, _)| *at < time);
        let (after, totals) = self.looks.get(later)?;
        if *after == time {
            return Some(totals.counter(counter));
        }
        let (before, earlier) = self.looks.get(later.checked_sub(1)?)?;
        let share = (time - *before).as_secs_f64() / (*after - *before).as_secs_f64();
        let (from, to) = (earlier.counter(counter), totals.counter(counter));
        Some(from + (to - from) * share)
    }

    /// The last look, and the one `over` before it, or the first there is.
    fn span(&self, over: Duration) -> Option<(&Look, &Look)> {
        let last = self.looks.back()?;
        let first = self.looks.iter().find(|(at, _)| last.0.saturating_duration_since(*at) <= over)?;
        Some((first, last))
    }

    /// By how much a counter has grown lately.
    pub(crate) fn growth(&self, counter: Counter, over: Duration) -> f64 {
        self.span(over).map_or(0.0, |((_, first), (_, last))| last.counter(counter) - first.counter(counter))
    }

    /// How much a counter grows in a second; `None` where there was but one look.
    pub(crate) fn rate(&self, counter: Counter, over: Duration) -> Option<f64> {
        let ((from, first), (to, last)) = self.span(over)?;
        let seconds = (*to - *from).as_secs_f64();
        (seconds > 0.0).then(|| (last.counter(counter) - first.counter(counter)) / seconds)
    }

    /// The rate in each slot of the last minutes, the oldest first; `None` where nobody looked. Slots have fixed borders, so
    /// that a curve moves by whole points.
    pub(crate) fn curve(&self, now: Instant, counter: Counter) -> Vec<Option<f64>> {
        let slots = (HISTORY.as_secs() / SLOT.as_secs()) as u32;
        let elapsed = now.saturating_duration_since(self.began);
        let full = (elapsed.as_secs() / SLOT.as_secs()) as u32;
        let rate = |slot: u32| {
            // Counted from the last full one backwards.
            let start = self.began + SLOT * full.checked_sub(slot + 1)?;
            let (from, to) = (self.at(start, counter)?, self.at(start + SLOT, counter)?);
            Some((to - from) / SLOT.as_secs_f64())
        };
        (0..slots).rev().map(rate).collect()
    }

    /// The time within which the share `quantile` of the latest requests was answered, by the bounds of a histogram and in
    /// proportion between them; `None` where there was no request.
    pub(crate) fn quantile(&self, quantile: f64, over: Duration) -> Option<Duration> {
        let ((_, first), (_, last)) = self.span(over)?;
        let before = |bound: &u64| first.answers.get(bound).copied().unwrap_or(0.0);
        let recent: Vec<_> =
            last.answers.iter().map(|(bound, value)| (*bound, value - before(bound))).collect();
        let all = recent.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let rank = quantile * all;
        let (mut low, mut below) = (0, 0.0);
        for (bound, count) in recent {
            if count >= rank {
                let share = if count > below { (rank - below) / (count - below) } else { 1.0 };
                // Beyond the highest bound nothing is known but that.
                let high = if bound == u64::MAX { low } else { bound };
                return Some(Duration::from_micros(low + ((high - low) as f64 * share) as u64));
            }
            (low, below) = (bound, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use service::clock::monotonic;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sample(accepted: f64, answers: &[(u64, f64)]) -> Sample {
        let counters = [(Counter::Accepted, accepted)].into();
        Sample { counters, answers: answers.iter().copied().collect(), ..Sample::default() }
    }

    fn totals(accepted: f64) -> Totals {
        Totals { counters: [(Counter::Accepted, accepted)].into(), ..Totals::default() }
    }

    #[test]
    fn a_counter_that_fell_has_begun_again() {
        for (before, after, grown) in [(5.0, 9.0, 4.0), (5.0, 5.0, 0.0), (5.0, 3.0, 3.0), (5.0, 0.0, 0.0)] {
            assert_eq!(increase(before, after), grown, "{before} {after}");
        }
        let mut totals = Totals::default();
        totals
            .add(&sample(90.0, &[(500, 5.0), (u64::MAX, 9.0)]), &sample(4.0, &[(500, 5.0), (u64::MAX, 6.0)]));
        assert_eq!(totals.counter(Counter::Accepted), 4.0);
        assert_eq!(totals.answers, [(500, 5.0), (u64::MAX, 6.0)].into());
    }

    #[test]
    fn a_rate_is_that_of_the_latest_looks() {
        let start = monotonic();
        let mut history = History::new(start);
        assert_eq!(history.rate(Counter::Accepted, SECOND), None);
        for (second, accepted) in [0.0, 100.0, 200.0, 1200.0].into_iter().enumerate() {
            history.push(start + SECOND * second as u32, totals(accepted));
        }
        assert_eq!(history.rate(Counter::Accepted, SECOND), Some(1000.0));
        assert_eq!(history.rate(Counter::Accepted, 10 * SECOND), Some(400.0));
        assert_eq!(history.growth(Counter::Accepted, 2 * SECOND), 1100.0);
    }

    #[test]
    fn a_curve_has_a_point_for_each_slot_and_gaps_where_nobody_looked() {
        let start = monotonic();
        let mut history = History::new(start);
        for second in 0..=12 {
            history.push(start + SECOND * second, totals(f64::from(second) * 7.0));
        }
        let curve = history.curve(start + 12 * SECOND, Counter::Accepted);
        assert_eq!(curve.len(), 60);
        assert_eq!(curve[57..], [None, Some(7.0), Some(7.0)]);
        // A second later the same points are shown.
        assert_eq!(history.curve(start + 13 * SECOND, Counter::Accepted), curve);
    }

    #[test]
    fn quantiles_are_those_of_what_was_answered_lately() {
        let start = monotonic();
        let mut history = History::new(start);
        let answered = |slow: f64, fast: f64| Totals {
            answers: [(1000, fast), (2000, fast + slow), (u64::MAX, fast + slow)].into(),
            ..Totals::default()
        };
        history.push(start, answered(1e6, 0.0));
        assert_eq!(history.quantile(0.5, SECOND), None, "one look shows nothing");
        history.push(start + SECOND, answered(1e6 + 50.0, 50.0));
        assert_eq!(history.quantile(0.25, SECOND), Some(Duration::from_micros(500)));
        assert_eq!(history.quantile(0.75, SECOND), Some(Duration::from_micros(1500)));
        assert_eq!(history.quantile(1.0, SECOND), Some(Duration::from_micros(2000)));
    }
}
