//! Counts that are written early.

use super::*;

#[test]
fn partial_rows_add_up_and_nothing_is_read_again() {
    let mut windows = fresh();
    event(&mut windows, 10);
    event(&mut windows, 11);
    assert_eq!(windows.relieve(Ids::Keep), 0);
    windows.check_invariants();
    let flush = windows.take_flush();
    assert_eq!(
        (flush.rows, flush.offset, flush.resume_point),
        (
            vec![count(0, 2)],
            2,
            ResumePoint {
                time: Some(EpochMillis(11_000)),
                closed: flush.resume_point.closed,
                partial: 1,
                ..ResumePoint::at(2)
            }
        )
    );
    assert_eq!(windows.memory().counts, 0);
    event(&mut windows, 12);
    event(&mut windows, 90);
    assert_eq!(windows.take_flush().rows, [count(0, 1)]);
}

#[test]
fn identities_are_kept_and_read_again() {
    let mut windows = fresh();
    event_with_id(&mut windows, 10, 1);
    windows.relieve(Ids::Keep);
    let flush = windows.take_flush();
    assert_eq!((flush.rows, flush.offset), (vec![count(0, 1)], 0));
    assert_eq!((flush.resume_point.flushed, flush.resume_point.open), (1, 0));
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Repeat);

    let mut again = restored(flush.offset, flush.resume_point);
    assert_eq!(event_with_id(&mut again, 10, 1), Fate::RebuildIds);
    assert_eq!(event_with_id(&mut again, 10, 1), Fate::Repeat);
    assert_eq!(event_with_id(&mut again, 10, 2), Fate::Count);
    event(&mut again, 90);
    assert_eq!(again.take_flush().rows, [count(0, 1)]);
}

#[test]
fn dropped_identities_are_not_read_again() {
    let mut windows = fresh();
    event_with_id(&mut windows, 10, 1);
    assert_eq!(windows.relieve(Ids::Drop), 1);
    windows.check_invariants();
    let flush = windows.take_flush();
    assert_eq!((flush.offset, flush.resume_point.flushed), (1, 0));
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Count, "which is what the metric is for");
}

#[test]
fn during_a_replay_it_lets_out_what_was_read_so_far() {
    let mut windows = restored(0, ResumePoint::at(3));
    event(&mut windows, 10);
    windows.relieve(Ids::Keep);
    let flush = windows.take_flush();
    assert_eq!((flush.rows, flush.offset, flush.resume_point.next), (vec![count(0, 1)], 1, 3));
    assert_eq!(event(&mut windows, 11), Fate::Count);
}

#[test]
fn what_is_still_to_be_read_again_is_open() {
    let mut windows = restored(0, ResumePoint { open: 2, ..ResumePoint::at(2) });
    event(&mut windows, 10);
    windows.relieve(Ids::Keep);
    let flush = windows.take_flush();
    assert_eq!((flush.rows, flush.resume_point.open), (vec![count(0, 1)], 1));
}

#[test]
fn a_repeat_whose_identity_is_dropped_during_a_replay_is_none_any_more() {
    let mut windows = restored(0, ResumePoint { open: 1, repeats: 1, ..ResumePoint::at(2) });
    event_with_id(&mut windows, 10, 1);
    windows.relieve(Ids::Drop);
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Count);
    let flush = windows.take_flush();
    assert_eq!((flush.rows, flush.resume_point.open), (vec![count(0, 1)], 1));
    assert_eq!(flush.resume_point.repeats, 0);
}

#[test]
fn during_a_replay_it_counts_nothing_again_that_was_let_out_before() {
    let mut windows = restored(0, ResumePoint { flushed: 2, ..ResumePoint::at(2) });
    windows.relieve(Ids::Keep);
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::RebuildIds);
}

#[test]
fn a_window_that_closes_with_nothing_but_identities_moves_the_offset() {
    let mut windows = fresh();
    event_with_id(&mut windows, 10, 1);
    windows.relieve(Ids::Keep);
    assert_eq!(windows.take_flush().offset, 0);
    assert_eq!(event_with_id(&mut windows, 10, 1), Fate::Repeat);
    assert!(!windows.wants_flush());
    event(&mut windows, 90);
    assert!(windows.wants_flush());
    let flush = windows.take_flush();
    assert_eq!((flush.rows, flush.offset, flush.repeats), (vec![], 2, 1));
}

#[test]
fn record_time_says_how_long_a_window_may_be_open() {
    let mut windows = fresh();
    event_ingested_at(&mut windows, 10, 1_000);
    event_ingested_at(&mut windows, 10, 4_600);
    assert!(!windows.is_open_too_long());
    event_ingested_at(&mut windows, 10, 4_601);
    assert!(windows.is_open_too_long());
    windows.relieve(Ids::Drop);
    assert!(!windows.is_open_too_long());
}

#[test]
fn every_entry_is_charged() {
    let mut windows = fresh();
    let empty = windows.memory();
    event(&mut windows, 10);
    let counted = windows.memory();
    assert!(counted.counts > empty.counts && counted.ids == 0);
    event_with_id(&mut windows, 10, 1);
    assert!(windows.memory().ids > 0 && windows.memory().total() > counted.total());
    assert!(windows.memory().counts < counted.counts, "identities keep the window, too");
}
