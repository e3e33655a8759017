//! Of which time the events of a load are: of now, or of a while ago, minute after minute.

use std::time::Duration;

use model::{EpochMillis, Window};

use super::pace::Request;

/// Tells each request the time that its events are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timeline {
    /// The time at which they are sent.
    Now,
    /// `[end - span, end)`, passed through in the `duration` of the load.
    History { end: EpochMillis, span: Duration, duration: Duration },
}

impl Timeline {
    /// The history of `span` before the minute that `now` is in: every minute of it is over.
    pub(super) fn before(now: EpochMillis, span: Duration, duration: Duration) -> Self {
        Self::History { end: Window::containing(now.to_seconds()).start().to_millis(), span, duration }
    }

    /// The time of `request`, which is sent at `now`.
    pub(super) fn time_of(self, request: Request, now: EpochMillis) -> EpochMillis {
        match self {
            Self::Now => now,
            Self::History { end, span, duration } => {
                let left = duration.saturating_sub(request.due);
                let left = span.mul_f64(left.as_secs_f64() / duration.as_secs_f64());
                end.minus(left.max(Duration::from_millis(1)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 44 s into a minute.
    const NOW: EpochMillis = EpochMillis(1_795_525_244_000);
    const MINUTE: EpochMillis = EpochMillis(1_795_525_200_000);

    fn ago(timeline: Timeline, due: u64) -> Duration {
        let request = Request { first: 0, count: 1, due: Duration::from_secs(due) };
        MINUTE.since(timeline.time_of(request, NOW))
    }

    #[test]
    fn a_history_passes_in_order_and_ends_before_the_minute_of_its_start() {
        let timeline = Timeline::before(NOW, Duration::from_secs(600), Duration::from_secs(30));
        assert_eq!([0, 15, 29].map(|due| ago(timeline, due).as_secs()), [600, 300, 20]);
        assert_eq!(ago(timeline, 30), Duration::from_millis(1));
        assert_eq!(ago(timeline, 31), Duration::from_millis(1));
    }

    #[test]
    fn otherwise_events_are_of_now() {
        let request = Request { first: 0, count: 1, due: Duration::from_secs(7) };
        assert_eq!(Timeline::Now.time_of(request, NOW), NOW);
    }
}
