//! Retries by clients.

use super::*;

#[test]
fn an_event_that_comes_again_counts_once_while_its_window_is_open() {
    let mut windows = fresh();
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Count);
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Repeat);
    assert_eq!(event_with_id(&mut windows, 11, 2), Fate::Count);
    assert_eq!(event(&mut windows, 10), Fate::Count, "without an id every event counts");
    event(&mut windows, 90);
    let flush = windows.take_flush();
    assert_eq!((flush.rows, flush.repeats, flush.resume_point.repeats), (vec![count(0, 3)], 1, 1));
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Late, "bounded memory has an end");
}

#[test]
fn a_repeat_that_is_read_again_is_not_counted_again() {
    let mut windows = restored(0, ResumePoint { repeats: 7, open: 1, ..ResumePoint::at(2) });
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Count);
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Repeat, "it is one of the seven");
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Repeat, "this is the eighth");
    event(&mut windows, 90);
    assert_eq!(windows.take_flush().resume_point.repeats, 8);
}
