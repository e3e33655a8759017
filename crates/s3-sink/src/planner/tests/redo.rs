//! A range that is written again.

use super::*;

#[test]
fn a_range_is_written_again_exactly_as_it_was_fixed() {
    let mut scene = Scene::reading(1000);
    scene.push_at(10, T);
    scene.push_at(12, T + 1);
    scene.cut(Cause::Memory);
    let entry = scene.entry();

    let mut scene = Scene::assigned(5);
    assert_eq!(scene.found(Found::Redo { entry: entry.clone(), from: 10 }), "");
    assert!(scene.partition.wants_redo());
    assert_eq!(scene.push(10), "", "it waits for the permit");
    let actions = scene.partition.permit();
    assert_eq!(scene.told(actions), "read 10");
    assert_eq!(scene.push_at(10, T), "", "larger than the size that cuts, and not cut");
    assert!(scene.partition.redoing());
    assert_eq!(scene.push_at(12, T + 1), "write [10, 13) Redo");
    assert!(scene.partition.redoing());
    assert_eq!(scene.entry(), entry);
    assert_eq!(scene.push(14), "pause", "it reads on at once");
    assert_eq!(scene.written(10, 13), "commit 13 v1 ledger=10 write [13, 15) Size read 15");
    assert!(!scene.partition.redoing());
}

#[test]
fn a_range_whose_records_are_not_the_ones_fixed_is_not_written() {
    let mut scene = Scene::reading(1000);
    scene.push_at(10, T);
    scene.push_at(11, T);
    scene.cut(Cause::Memory);
    let entry = scene.entry();
    for pushed in [(11, 11), (12, 12)] {
        let mut scene = Scene::assigned(1000);
        scene.found(Found::Redo { entry: entry.clone(), from: 10 });
        scene.partition.permit();
        assert!(scene.push(pushed.0).starts_with("pause parked: ledger/t/p00000/00000000000000000010.json"));
        assert_eq!(scene.push(pushed.1 + 1), "");
        let actions = scene.partition.restart();
        assert_eq!(scene.told(actions), "", "parked is for good");
    }
}

#[test]
fn an_unknown_recipe_parks_the_partition() {
    let mut scene = Scene::reading(1000);
    scene.push(10);
    scene.cut(Cause::Memory);
    let json = String::from_utf8(scene.entry().to_json()).unwrap().replace("\"rules\": 1", "\"rules\": 2");
    let entry = Entry::parse(&scene.entry().key(), json.as_bytes()).unwrap();
    let mut scene = Scene::assigned(1000);
    scene.found(Found::Redo { entry, from: 10 });
    let actions = scene.partition.permit();
    let told = scene.told(actions);
    assert!(told.contains("parked") && told.contains("rules 2"), "{told}");
}

/// The log has lost the beginning of a range that was fixed and not finished.
#[test]
fn a_range_that_nobody_can_write_again_is_told_and_passed_over() {
    let mut scene = Scene::reading(1000);
    scene.push(10);
    scene.push(11);
    scene.cut(Cause::Memory);
    let entry = scene.entry();
    let mut scene = Scene::assigned(1000);
    scene.found(Found::Redo { entry, from: 11 });
    let actions = scene.partition.permit();
    assert_eq!(scene.told(actions), "read 11");
    assert_eq!(scene.push(11), "lost 2");
    assert_eq!(scene.push(12), "");
    assert_eq!(scene.cut(Cause::Memory), "write [12, 13) Memory");
}

#[test]
fn a_range_is_written_again_in_its_own_format() {
    for format in Format::ALL {
        let mut scene = Scene::reading(1000);
        scene.partition.cuts.format = format;
        let event = br#"{"user_id":7,"postcode":"sw19","webpage":"a","timestamp":1611662684}"#;
        let record = Record {
            offset: 10,
            timestamp: EpochMillis(T),
            key: None,
            value: Some(event),
            headers: &NO_HEADERS,
        };
        scene.partition.push(&record, scene.now);
        scene.cut(Cause::Memory);
        let entry = scene.entry();
        assert!(
            entry.objects()[0].key.starts_with("raw/") && entry.objects()[0].key.ends_with(format.name())
        );
        let mut scene = Scene::assigned(1000);
        scene.found(Found::Redo { entry: entry.clone(), from: 10 });
        scene.partition.permit();
        let actions = scene.partition.push(&record, scene.now);
        assert_eq!(scene.told(actions), "write [10, 11) Redo");
        assert_eq!(scene.entry(), entry);
    }
}
