use std::collections::VecDeque;

use model::EpochMillis;

use super::*;
use crate::Kind;
use crate::action::{Job, Plan};
use crate::encode::Tools;
use crate::ledger::{Content, Entry};
use crate::record::NO_HEADERS;

const HOUR: i64 = 3_600_000;
const T: i64 = 1_795_525_200_000;
const AGE: Duration = Duration::from_secs(60);

/// A partition with an encoder and a clock, and short names for what it answers.
struct Scene {
    partition: Partition,
    tools: Tools,
    now: Instant,
    plan: Option<Plan>,
    /// Jobs are done at once, unless the test does them.
    slow: bool,
    jobs: VecDeque<Job>,
}

fn goes_on(from: i64, completed: Option<i64>, committed: bool) -> Found {
    Found::Continue { from, reads: from, completed, committed, loss: None }
}

impl Scene {
    fn assigned(size: usize) -> Self {
        let source = Source { kind: Kind::Raw, topic: "t".to_owned(), partition: 0 };
        let (partition, actions) =
            Partition::assigned(source, Cuts { size, age: AGE, format: Format::NdjsonGz });
        let mut scene = Self {
            partition,
            tools: Tools::new(),
            now: service::clock::monotonic(),
            plan: None,
            slow: false,
            jobs: VecDeque::new(),
        };
        assert_eq!(scene.told(actions), "pause find");
        scene
    }

    /// One that reads from offset 10.
    fn reading(size: usize) -> Self {
        let mut scene = Self::assigned(size);
        assert_eq!(scene.found(goes_on(10, None, false)), "read 10");
        scene
    }

    fn told(&mut self, actions: Vec<Action>) -> String {
        let words: Vec<_> = actions
            .into_iter()
            .map(|action| match action {
                Action::Encode(job) if self.slow => {
                    let words = if job.seal { "seal" } else { "encode" };
                    self.jobs.push_back(job);
                    words.to_owned()
                }
                Action::Encode(job) => {
                    let encoded = job.run(&mut self.tools);
                    let actions = self.partition.encoded(encoded);
                    self.told(actions)
                }
                Action::Lost(loss) => format!("lost {}", loss.offsets()),
                Action::Find => "find".to_owned(),
                Action::Read(from) => format!("read {from}"),
                Action::Pause => "pause".to_owned(),
                Action::Commit(hint) => format!("commit {} {hint}", hint.committed),
                Action::Parked(reason) => format!("parked: {reason}"),
                Action::Write(plan) => {
                    let words = format!(
                        "write [{}, {}) {:?}",
                        plan.sealed.entry.start, plan.sealed.entry.end, plan.cause
                    );
                    self.plan = Some(plan);
                    words
                }
            })
            .collect();
        words.join(" ")
    }

    fn found(&mut self, found: Found) -> String {
        let actions = self.partition.found(self.now, found);
        self.told(actions)
    }

    fn push_at(&mut self, offset: i64, timestamp: i64) -> String {
        let value = format!(r#"{{"offset":{offset}}}"#);
        let record = Record {
            offset,
            timestamp: EpochMillis(timestamp),
            key: None,
            value: Some(value.as_bytes()),
            headers: &NO_HEADERS,
        };
        let actions = self.partition.push(&record, self.now);
        self.told(actions)
    }

    fn push(&mut self, offset: i64) -> String {
        self.push_at(offset, T)
    }

    fn written(&mut self, start: i64, end: i64) -> String {
        let actions = self.partition.written(start, end);
        self.told(actions)
    }

    fn due_after(&mut self, wait: Duration) -> String {
        let actions = self.partition.due(self.now + wait);
        self.told(actions)
    }

    fn cut(&mut self, cause: Cause) -> String {
        let actions = self.partition.cut(cause);
        self.told(actions)
    }

    /// An encoder does the job that has waited longest.
    fn encode(&mut self) -> String {
        let encoded = self.jobs.pop_front().expect("a job").run(&mut self.tools);
        let actions = self.partition.encoded(encoded);
        self.told(actions)
    }

    /// The entry of the last plan.
    fn entry(&self) -> Entry {
        self.plan.as_ref().unwrap().sealed.entry.clone()
    }
}

#[test]
fn nothing_is_taken_before_the_frontier_is_known() {
    let mut scene = Scene::assigned(1000);
    assert_eq!(scene.push(0), "");
    assert_eq!(scene.found(goes_on(10, None, false)), "read 10");
    assert_eq!(scene.push(9), "", "a record from before the seek");
    assert_eq!(scene.push(12), "");
    assert_eq!(scene.push(12), "", "the same record once more");
    assert_eq!(scene.cut(Cause::Memory), "write [10, 13) Memory");
    assert_eq!(scene.entry().objects()[0].records, 1);
}

#[test]
fn a_range_is_cut_by_size_and_the_next_one_starts_at_its_end() {
    let mut scene = Scene::reading(20);
    assert_eq!(scene.push(10), "");
    assert_eq!(scene.push(11), "write [10, 12) Size");
    assert_eq!(scene.push(14), "");
    assert_eq!(scene.written(10, 12), "commit 12 v1 ledger=10");
    assert_eq!(scene.cut(Cause::Memory), "write [12, 15) Memory");
}

#[test]
fn a_range_is_cut_by_age_even_when_nothing_arrives() {
    let mut scene = Scene::reading(1000);
    assert_eq!(scene.partition.next_deadline(), None, "an empty range is never written");
    assert_eq!(scene.due_after(AGE), "");
    scene.push(10);
    let deadline = scene.partition.next_deadline().unwrap();
    assert!(deadline <= scene.now + AGE && deadline >= scene.now + AGE.mul_f64(0.9));
    assert_eq!(scene.due_after(AGE.mul_f64(0.89)), "");
    assert_eq!(scene.due_after(AGE), "write [10, 11) Age");
}

#[test]
fn a_record_of_a_later_hour_begins_a_range() {
    let mut scene = Scene::reading(1000);
    assert_eq!(scene.push_at(10, T), "");
    assert_eq!(scene.push_at(11, T + HOUR), "write [10, 11) Boundary");
    assert_eq!(scene.push_at(12, T + 2 * HOUR), "pause", "one range is being written already");
    assert_eq!(scene.push_at(13, T + HOUR), "", "nothing is taken while paused");
    assert_eq!(scene.written(10, 11), "commit 11 v1 ledger=10 write [11, 12) Boundary read 12");
    assert_eq!(scene.push_at(12, T + 2 * HOUR), "");
}

#[test]
fn at_most_one_range_is_written_and_one_fills() {
    let mut scene = Scene::reading(20);
    scene.push(10);
    assert_eq!(scene.push(11), "write [10, 12) Size");
    assert_eq!(scene.push(12), "");
    assert_eq!(scene.push(13), "pause");
    assert_eq!(scene.due_after(AGE * 2), "", "the age cannot cut either");
    assert_eq!(scene.cut(Cause::Memory), "");
    assert_eq!(scene.written(10, 12), "commit 12 v1 ledger=10 write [12, 14) Size read 14");
}

#[test]
fn another_owners_entry_is_adopted_by_looking_again() {
    let mut scene = Scene::reading(20);
    scene.push(10);
    assert_eq!(scene.push(11), "write [10, 12) Size");
    scene.push(12);
    let actions = scene.partition.outdone(10, 12);
    assert_eq!(scene.told(actions), "pause find");
    assert_eq!(scene.push(13), "");
    assert_eq!(scene.written(10, 12), "", "that write is no longer ours to wait for");
    let found = goes_on(11, Some(10), false);
    assert_eq!(scene.found(found), "commit 11 v1 ledger=10 read 11");
    assert_eq!(scene.push(11), "");
    assert_eq!(scene.cut(Cause::Memory), "write [11, 12) Memory");
}

/// A writes [10, 12) when the position is lost; the ledger does not know of it yet, so B is cut at 10 again.
#[test]
fn the_answer_of_a_write_from_before_a_restart_is_not_that_of_another_range() {
    let mut scene = Scene::reading(1000);
    scene.push(10);
    scene.push(11);
    assert_eq!(scene.cut(Cause::Memory), "write [10, 12) Memory");
    let actions = scene.partition.restart();
    assert_eq!(scene.told(actions), "pause find");
    let found = goes_on(10, None, false);
    assert_eq!(scene.found(found), "read 10");
    (10..13).for_each(|offset| drop(scene.push(offset)));
    assert_eq!(scene.cut(Cause::Memory), "write [10, 13) Memory");
    assert_eq!(scene.written(10, 12), "", "that was A: 12 is in no object yet");
    assert!(scene.partition.outdone(10, 12).is_empty(), "what outdid A may be B");
    let actions = scene.partition.outdone(10, 13);
    assert_eq!(scene.told(actions), "pause find", "A has won, and the ledger says so to B");
    let found = goes_on(12, Some(10), false);
    assert_eq!(scene.found(found), "commit 12 v1 ledger=10 read 12");
}

#[test]
fn the_same_range_cut_again_is_written_whichever_answer_comes_first() {
    let mut scene = Scene::reading(1000);
    scene.push(10);
    scene.cut(Cause::Memory);
    scene.partition.restart();
    scene.found(goes_on(10, None, false));
    scene.push(10);
    assert_eq!(scene.cut(Cause::Memory), "write [10, 11) Memory");
    assert_eq!(scene.written(10, 11), "commit 11 v1 ledger=10");
    assert_eq!(scene.written(10, 11), "");
}

#[test]
fn a_drain_writes_what_is_there_and_takes_no_more() {
    let mut scene = Scene::reading(20);
    scene.push(10);
    scene.push(11);
    scene.push(12);
    let actions = scene.partition.drain();
    assert_eq!(scene.told(actions), "pause", "[10, 12) is still being written");
    assert!(!scene.partition.drained());
    assert_eq!(scene.push(13), "");
    assert_eq!(scene.written(10, 12), "commit 12 v1 ledger=10 write [12, 13) Shutdown");
    assert_eq!(scene.written(12, 13), "commit 13 v1 ledger=12");
    assert!(scene.partition.drained());

    let mut finding = Scene::assigned(20);
    finding.partition.drain();
    assert!(finding.partition.drained());
    assert_eq!(finding.found(goes_on(0, None, false)), "");
}

#[test]
fn memory_pauses_new_ranges_but_no_redo() {
    let mut scene = Scene::reading(1000);
    scene.push(10);
    let actions = scene.partition.throttle();
    assert_eq!(scene.told(actions), "pause");
    assert_eq!(scene.push(11), "");
    assert_eq!(scene.cut(Cause::Memory), "write [10, 11) Memory");
    assert_eq!(scene.written(10, 11), "commit 11 v1 ledger=10", "it is not for the write to resume it");
    let actions = scene.partition.unthrottle();
    assert_eq!(scene.told(actions), "read 11");
    let entry = scene.entry();

    let mut redo = Scene::assigned(1000);
    redo.found(Found::Redo { entry, from: 10 });
    redo.partition.permit();
    assert!(redo.partition.throttle().is_empty());
}

#[test]
fn an_idle_partition_lets_control_records_be_committed() {
    let mut scene = Scene::reading(1000);
    assert_eq!(scene.partition.idle_at(Some(15)), None, "no range names a hint yet");
    scene.push(10);
    assert_eq!(scene.partition.idle_at(Some(15)), None, "a record is not in S3 yet");
    scene.cut(Cause::Memory);
    assert_eq!(scene.partition.idle_at(Some(15)), None);
    scene.written(10, 11);
    let last = Some(Hint { committed: 11, ledger: 10 });
    assert_eq!(scene.partition.idle_at(None), last, "what was committed may be committed again");
    assert_eq!(scene.partition.idle_at(Some(11)), last);
    assert_eq!(scene.partition.idle_at(Some(15)), Some(Hint { committed: 15, ledger: 10 }));
}

#[test]
fn a_conflict_parks_and_a_late_answer_changes_nothing() {
    let mut scene = Scene::reading(1000);
    scene.push(10);
    scene.cut(Cause::Memory);
    let actions = scene.partition.park(Blocked::Unrepeatable { key: "k".to_owned() });
    assert!(scene.told(actions).starts_with("pause parked"));
    assert_eq!(scene.written(10, 11), "");
    assert_eq!(scene.found(goes_on(1, None, false)), "");
}

#[test]
fn encoders_take_their_time_and_records_keep_their_order() {
    let mut scene = Scene::reading(1 << 30);
    scene.slow = true;
    let long = |scene: &mut Scene, offset| {
        let value = format!("{{\"a\":\"{}\"}}", "x".repeat(open::BATCH));
        let record = Record {
            offset,
            timestamp: EpochMillis(T),
            key: None,
            value: Some(value.as_bytes()),
            headers: &NO_HEADERS,
        };
        let actions = scene.partition.push(&record, scene.now);
        scene.told(actions)
    };
    assert_eq!(long(&mut scene, 10), "encode");
    assert_eq!(long(&mut scene, 11), "", "one job at a time");
    assert!(scene.partition.unencoded() > 2 * open::BATCH);
    assert_eq!(scene.cut(Cause::Memory), "", "cut, and its range is still with the encoder");
    assert_eq!(scene.push(12), "", "the next one fills");
    assert!(!scene.partition.drained() && scene.partition.filling() > open::BATCH);
    assert_eq!(scene.encode(), "seal");
    assert_eq!(scene.encode(), "write [10, 12) Memory");
    assert_eq!(scene.entry().objects()[0].records, 2);
    let written = scene.written(10, 12);
    assert_eq!(written, "commit 12 v1 ledger=10");
    assert_eq!(scene.cut(Cause::Memory), "seal");
    assert_eq!(scene.encode(), "write [12, 13) Memory");
}

#[test]
fn what_an_encoder_gives_back_after_a_restart_is_nobodys() {
    let mut scene = Scene::reading(1000);
    scene.slow = true;
    scene.push(10);
    scene.push(11);
    assert_eq!(scene.cut(Cause::Memory), "seal");
    let actions = scene.partition.restart();
    scene.told(actions);
    scene.found(goes_on(10, None, false));
    scene.push(10);
    assert_eq!(scene.cut(Cause::Memory), "seal");
    assert_eq!(scene.encode(), "", "[10, 12) of before");
    assert_eq!(scene.encode(), "write [10, 11) Memory");
}

#[test]
fn what_was_read_before_retention_passed_the_position_is_written_first() {
    let mut scene = Scene::reading(1000);
    scene.push(10);
    let actions = scene.partition.passed();
    assert_eq!(scene.told(actions), "pause write [10, 11) Passed");
    assert_eq!(scene.written(10, 11), "commit 11 v1 ledger=10 pause find");

    let mut scene = Scene::reading(20);
    scene.push(10);
    assert_eq!(scene.push(11), "write [10, 12) Size");
    scene.push(12);
    let actions = scene.partition.passed();
    assert_eq!(scene.told(actions), "pause", "[10, 12) is still being written");
    assert_eq!(scene.written(10, 12), "commit 12 v1 ledger=10 write [12, 13) Passed");
    assert_eq!(scene.written(12, 13), "commit 13 v1 ledger=12 pause find");
}

#[test]
fn what_the_log_dropped_is_listed_as_lost_before_anything_else_is_written() {
    let mut scene = Scene::assigned(1000);
    assert_eq!(scene.found(Found::Lost { from: 10, to: 15, loss: None }), "write [10, 15) Lost");
    assert_eq!(scene.entry().content, Content::Lost);
    assert_eq!(scene.push(15), "");
    assert_eq!(scene.written(10, 15), "lost 5 commit 15 v1 ledger=10 read 15");
    scene.push(15);
    assert_eq!(scene.cut(Cause::Memory), "write [15, 16) Memory");

    let mut outdone = Scene::assigned(1000);
    outdone.found(Found::Lost { from: 10, to: 15, loss: None });
    let actions = outdone.partition.outdone(10, 15);
    assert_eq!(outdone.told(actions), "pause find");
}

#[test]
fn a_hole_of_control_records_is_read_over_and_the_entries_tile_it() {
    let mut scene = Scene::assigned(1000);
    let found = Found::Continue { from: 10, reads: 15, completed: Some(3), committed: true, loss: None };
    assert_eq!(scene.found(found), "read 15");
    scene.push(15);
    assert_eq!(scene.cut(Cause::Memory), "write [10, 16) Memory");
}

mod redo;
