//! One test a cell: `next` is 100, `flushed` 50, `closed` 120 s.

use super::*;

const CLOSED: i64 = 90;
const OPEN: i64 = 130;

fn at(position: i64) -> PartitionWindows {
    let point = ResumePoint {
        closed: Some(EpochSeconds(120)),
        time: Some(EpochMillis(150_000)),
        flushed: 50,
        ..ResumePoint::at(100)
    };
    let mut windows = restored(0, point);
    windows.skip_to(position);
    windows
}

#[test]
fn below_next_what_cannot_be_counted_is_gone_already() {
    let mut windows = at(60);
    assert_eq!(windows.push(60, EpochMillis(0), Err(Reason::MalformedJson)), Fate::Skip);
    assert_eq!(event_ingested_at(&mut windows, OPEN + 10_000, OPEN), Fate::Skip, "over the guard");
    assert!(!windows.wants_flush());
}

#[test]
fn below_next_what_belongs_to_a_closed_window_is_gone_already() {
    for position in [10, 60] {
        let mut windows = at(position);
        assert_eq!(event(&mut windows, CLOSED), Fate::Skip);
        assert!(!windows.wants_flush());
    }
}

#[test]
fn below_flushed_an_open_window_has_its_count_in_the_output() {
    let mut windows = at(49);
    assert_eq!(event(&mut windows, OPEN), Fate::RebuildIds);
    assert_eq!(windows.take_flush().resume_point.open, 0);
}

#[test]
fn from_flushed_on_an_open_window_is_counted() {
    let mut windows = at(50);
    assert_eq!(event(&mut windows, OPEN), Fate::Count);
    let flush = windows.take_flush();
    assert_eq!((flush.offset, flush.resume_point.open), (50, 1));
}

#[test]
fn from_next_on_what_cannot_be_counted_is_a_dead_letter() {
    let mut windows = at(100);
    let fate = windows.push(100, EpochMillis(0), Err(Reason::MalformedJson));
    assert_eq!(fate, Fate::DeadLetter(Reason::MalformedJson));
}

#[test]
fn from_next_on_what_belongs_to_a_closed_window_is_late() {
    assert_eq!(event(&mut at(99), CLOSED), Fate::Skip);
    assert_eq!(event(&mut at(100), CLOSED), Fate::Late);
}

#[test]
fn from_next_on_an_open_window_is_counted() {
    assert_eq!(event(&mut at(100), OPEN), Fate::Count);
}
