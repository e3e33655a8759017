//! What one partition's windows do, case by case: closing, lateness, the guard, idling, and the restore table.

mod repeats;
mod the_memory_valve;
mod the_restore_table;

use std::time::Duration;

use aggregator::resume_point::ResumePoint;
use aggregator::windows::{Event, Fate, Identity, Ids, Limits, LogBounds, PartitionWindows, Restored};
use model::{EpochMillis, EpochSeconds, PageviewAggregate, Postcode, Reason, Window};

const LIMITS: Limits = Limits {
    grace: Duration::from_secs(30),
    idle_timeout: Duration::from_secs(30),
    max_future_skew: Duration::from_secs(300),
    max_open: Duration::from_secs(3_600),
};

const LONG_LOG: LogBounds = LogBounds { start: 0, end: 1_000_000 };

/// A partition that nobody has read yet.
fn fresh() -> PartitionWindows {
    restored(0, ResumePoint::at(0))
}

fn restored(offset: i64, point: ResumePoint) -> PartitionWindows {
    PartitionWindows::restore(offset, point, LONG_LOG, LIMITS).windows
}

fn postcode(text: &str) -> Postcode {
    Postcode::parse(text).expect("a postcode")
}

/// An event of `SW19` that happened at `second` and was ingested that very second.
fn event(windows: &mut PartitionWindows, second: i64) -> Fate {
    event_ingested_at(windows, second, second)
}

fn event_ingested_at(windows: &mut PartitionWindows, second: i64, ingested: i64) -> Fate {
    push(windows, second, ingested, None)
}

fn event_with_id(windows: &mut PartitionWindows, second: i64, id: u128) -> Fate {
    push(windows, second, second, Some(Identity(id)))
}

fn push(windows: &mut PartitionWindows, second: i64, ingested: i64, identity: Option<Identity>) -> Fate {
    let offset = windows.position();
    let event = Event { postcode: postcode("SW19"), time: EpochSeconds(second), identity };
    let fate = windows.push(offset, EpochSeconds(ingested).to_millis(), Ok(event));
    windows.check_invariants();
    fate
}

fn count(start: i64, pageview_count: u64) -> PageviewAggregate {
    let window_start = Window::containing(EpochSeconds(start));
    PageviewAggregate { postcode: postcode("SW19"), window_start, pageview_count }
}

mod closing {
    use super::*;

    #[test]
    fn a_window_closes_once_stream_time_is_past_its_end_by_the_grace() {
        let mut windows = fresh();
        event(&mut windows, 10);
        event(&mut windows, 59);
        event(&mut windows, 89);
        assert!(!windows.wants_flush());
        event(&mut windows, 90);
        assert_eq!(windows.take_flush().rows, [count(0, 2)]);
    }

    #[test]
    fn an_event_behind_its_windows_end_by_more_than_the_grace_is_late() {
        let mut windows = fresh();
        event(&mut windows, 89);
        assert_eq!(event(&mut windows, 59), Fate::Count, "29 s behind the end: still open");
        event(&mut windows, 90);
        assert_eq!(event(&mut windows, 59), Fate::Late);
        assert_eq!(event(&mut windows, 58), Fate::Late);
        let flush = windows.take_flush();
        assert_eq!((flush.rows, flush.late), (vec![count(0, 1)], vec![count(0, 2)]));
    }

    #[test]
    fn an_event_that_closes_its_own_window_by_its_time_cannot_be() {
        let mut windows = fresh();
        assert_eq!(event(&mut windows, 1_000_000), Fate::Count);
    }

    #[test]
    fn a_clock_that_runs_ahead_of_ingestion_closes_nothing() {
        let mut windows = fresh();
        event(&mut windows, 100);
        assert_eq!(event_ingested_at(&mut windows, 100 + 299, 100), Fate::Count);
        assert_eq!(event(&mut windows, 101), Fate::Count);
        assert_eq!(windows.stream_time(), Some(EpochMillis(101_000)));
    }

    #[test]
    fn the_readme_example_is_counted_although_its_minute_is_years_ago() {
        let mut windows = fresh();
        let now = 1_790_000_000;
        assert_eq!(event_ingested_at(&mut windows, 1_611_662_684, now), Fate::Count);
        assert_eq!(event_ingested_at(&mut windows, 1_611_662_690, now), Fate::Count);
        assert!(!windows.is_idle(EpochSeconds(now).to_millis()));
        let later = EpochSeconds(now + 30).to_millis();
        assert!(windows.is_idle(later));
        windows.close_idle(later);
        assert_eq!(windows.take_flush().rows, [count(1_611_662_640, 2)]);
    }
}

mod dead_letters {
    use super::*;

    #[test]
    fn an_event_ahead_of_its_record_by_more_than_the_skew_and_a_minute_is_refused() {
        let mut windows = fresh();
        assert_eq!(event_ingested_at(&mut windows, 1_360, 1_000), Fate::Count);
        let refused = Fate::DeadLetter(Reason::TimestampInFuture);
        assert_eq!(event_ingested_at(&mut windows, 1_361, 1_000), refused);
        assert!(windows.wants_flush());
        assert_eq!(windows.stream_time(), Some(EpochMillis(1_000_000)), "it moves no time");
        assert_eq!(windows.take_flush().resume_point.dead, 1);
    }

    #[test]
    fn a_malformed_record_is_refused_for_its_own_reason() {
        let mut windows = restored(0, ResumePoint { dead: 6, ..ResumePoint::at(0) });
        let fate = windows.push(0, EpochMillis(0), Err(Reason::Tombstone));
        assert_eq!(fate, Fate::DeadLetter(Reason::Tombstone));
        assert_eq!(windows.take_flush().resume_point.dead, 7, "counted on from what was committed");
        assert!(!windows.wants_flush());
    }
}

mod idling {
    use super::*;

    const END: i64 = 120;

    /// One event in `[60, 120)`, and a first look at the clock.
    fn with_one_event(looked_at: i64) -> PartitionWindows {
        let mut windows = fresh();
        event(&mut windows, 70);
        assert!(!windows.is_idle(EpochSeconds(looked_at).to_millis()));
        windows
    }

    #[test]
    fn time_must_stand_still_for_the_timeout_and_the_grace_must_have_passed() {
        for (looked_at, now, idle) in [
            (100, END + 29, false), // still for 49 s, but the window may yet get an event
            (100, END + 30, true),
            (END + 10, END + 39, false), // the grace has passed, but time stood still for 29 s only
            (END + 10, END + 40, true),
        ] {
            let mut windows = with_one_event(looked_at);
            assert_eq!(windows.is_idle(EpochSeconds(now).to_millis()), idle, "{looked_at} {now}");
        }
    }

    #[test]
    fn a_trickle_of_old_events_pins_no_window() {
        let mut windows = with_one_event(100);
        for now in 101..150 {
            event(&mut windows, 65);
            assert!(!windows.is_idle(EpochSeconds(now).to_millis()));
        }
        assert!(windows.is_idle(EpochSeconds(150).to_millis()));
    }

    #[test]
    fn closed_moves_no_further_than_to_the_windows_that_were_open() {
        let mut windows = with_one_event(100);
        windows.close_idle(EpochSeconds(1_000).to_millis());
        windows.check_invariants();
        assert_eq!(windows.take_flush().rows, [count(60, 1)]);
        assert_eq!(event(&mut windows, 119), Fate::Late);
        assert_eq!(event(&mut windows, 121), Fate::Count);
    }

    #[test]
    fn windows_that_may_still_get_events_stay_open() {
        let mut windows = fresh();
        event(&mut windows, 70);
        event_ingested_at(&mut windows, 130, 70);
        windows.close_idle(EpochSeconds(150).to_millis());
        windows.check_invariants();
        let flush = windows.take_flush();
        assert_eq!(flush.rows, [count(60, 1)]);
        assert_eq!((flush.offset, flush.resume_point.open), (1, 1));
    }
}

mod committing {
    use super::*;

    #[test]
    fn the_offset_is_the_first_that_an_open_window_needs() {
        let mut windows = fresh();
        for second in [10, 70, 71] {
            event(&mut windows, second);
        }
        event(&mut windows, 95);
        let flush = windows.take_flush();
        assert_eq!(flush.offset, 1);
        let expected = ResumePoint {
            next: 4,
            closed: Some(EpochSeconds(60)),
            time: Some(EpochMillis(95_000)),
            open: 3,
            ..ResumePoint::at(4)
        };
        assert_eq!(flush.resume_point, expected);
    }

    #[test]
    fn with_no_window_open_it_is_the_next_to_read() {
        let mut windows = fresh();
        event(&mut windows, 1_000);
        windows.close_idle(EpochSeconds(2_000).to_millis());
        windows.skip_to(5);
        let flush = windows.take_flush();
        assert_eq!((flush.offset, flush.resume_point.next), (5, 5));
    }

    #[test]
    fn progress_without_output_is_not_worth_a_transaction() {
        let mut windows = fresh();
        event(&mut windows, 1_000);
        assert!(!windows.wants_flush());
    }
}

mod restoring {
    use super::*;

    #[test]
    fn nothing_closes_before_next_is_reached() {
        let point = ResumePoint { closed: Some(EpochSeconds(60)), ..ResumePoint::at(3) };
        let mut windows = restored(0, ResumePoint { time: Some(EpochMillis(100_000)), ..point });
        event(&mut windows, 70);
        event(&mut windows, 10_000);
        windows.close_idle(EpochSeconds(10_000).to_millis());
        assert!(!windows.wants_flush());
        assert_eq!(event(&mut windows, 71), Fate::Count);
        assert!(!windows.wants_flush(), "caught up, and stream time is still 100 s");
    }

    #[test]
    fn once_next_is_reached_the_current_grace_decides() {
        let point = ResumePoint { time: Some(EpochMillis(135_000)), ..ResumePoint::at(1) };
        let shorter = Limits { grace: Duration::from_secs(10), ..LIMITS };
        let mut windows = PartitionWindows::restore(0, point, LONG_LOG, shorter).windows;
        event(&mut windows, 70);
        assert_eq!(windows.take_flush().rows, [count(60, 1)]);
    }

    #[test]
    fn a_longer_grace_opens_no_window_again() {
        let point = ResumePoint {
            closed: Some(EpochSeconds(120)),
            time: Some(EpochMillis(150_000)),
            ..ResumePoint::at(1)
        };
        let longer = Limits { grace: Duration::from_secs(600), ..LIMITS };
        let mut windows = PartitionWindows::restore(1, point, LONG_LOG, longer).windows;
        assert_eq!(event(&mut windows, 119), Fate::Late);
        assert_eq!(windows.take_flush().resume_point.closed, Some(EpochSeconds(120)));
    }

    #[test]
    fn the_log_starts_above_the_offset() {
        let log = LogBounds { start: 40, end: 100 };
        let point = ResumePoint::at(60);
        let Restored { windows, missed, truncated } = PartitionWindows::restore(30, point, log, LIMITS);
        assert_eq!((windows.position(), missed, truncated), (40, 10, 0));
        assert!(windows.is_replaying());
    }

    #[test]
    fn what_the_log_has_lost_of_open_windows_is_open_no_more_once_the_replay_is_over() {
        let log = LogBounds { start: 1, end: 100 };
        let point = ResumePoint { open: 2, ..ResumePoint::at(2) };
        let mut windows = PartitionWindows::restore(0, point, log, LIMITS).windows;
        assert_eq!(windows.take_flush().resume_point.open, 2, "nobody knows yet whose record is gone");
        event(&mut windows, 10);
        assert!(windows.wants_flush(), "or an audit would wait for the window's end");
        assert_eq!(windows.take_flush().resume_point.open, 1);
    }

    #[test]
    fn retention_passes_a_reader_by() {
        let mut windows = fresh();
        event(&mut windows, 10);
        assert_eq!(windows.pass_over(LogBounds { start: 0, end: 5 }), None, "the log has lost its end");
        assert!(!windows.wants_flush());
        assert_eq!(windows.pass_over(LogBounds { start: 40, end: 100 }), Some(39));
        assert!(windows.wants_flush(), "that is committed by itself");
        let flush = windows.take_flush();
        assert_eq!((windows.position(), flush.offset, flush.resume_point.next), (40, 0, 40));
        event(&mut windows, 95);
        assert_eq!(windows.take_flush().rows, [count(0, 1)], "what was counted before is kept");
    }

    #[test]
    fn the_log_ends_below_next() {
        let log = LogBounds { start: 0, end: 50 };
        let point = ResumePoint::at(60);
        let Restored { mut windows, missed, truncated } = PartitionWindows::restore(30, point, log, LIMITS);
        assert_eq!((windows.position(), missed, truncated), (30, 0, 10));
        assert!(windows.wants_flush(), "before new records lie below the committed `next`");
        let flush = windows.take_flush();
        assert_eq!((flush.offset, flush.resume_point.next), (30, 50), "the replay is still to come");
        assert!(!windows.wants_flush());
    }

    #[test]
    fn the_log_ends_below_the_offset() {
        let log = LogBounds { start: 0, end: 5 };
        let mut windows = PartitionWindows::restore(30, ResumePoint::at(60), log, LIMITS).windows;
        assert_eq!(windows.position(), 5);
        assert_eq!(event(&mut windows, 10), Fate::Count);
    }

    #[test]
    fn a_commit_without_metadata_counts_from_its_offset() {
        let mut windows = restored(30, ResumePoint::at(30));
        assert!(!windows.is_replaying());
        assert_eq!(event(&mut windows, 10), Fate::Count);
    }

    #[test]
    fn control_records_at_the_end_of_a_replay_are_passed() {
        let mut windows = restored(0, ResumePoint { time: Some(EpochMillis(300_000)), ..ResumePoint::at(2) });
        event(&mut windows, 70);
        assert!(windows.is_replaying());
        windows.skip_to(2);
        assert_eq!(windows.take_flush().rows, [count(60, 1)]);
    }
}
