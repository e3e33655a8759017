use super::*;

#[test]
fn a_process_is_starting_without_a_component_and_a_component_is_down_until_it_is_up() {
    let health = Health::default();
    assert!(health.readiness().json.starts_with(r#"{"status":"OUT_OF_SERVICE""#));
    assert!(!health.readiness().up && health.liveness().up);
    let kafka = health.component("kafka");
    assert!(!health.readiness().up);
    assert!(health.liveness().up);
    kafka.up();
    assert_eq!(
        health.overall().json,
        r#"{"status":"UP","components":{"kafka":{"status":"UP"},"readinessState":{"status":"UP"}},"groups":["liveness","readiness"]}"#
    );
    kafka.down("no broker answers");
    let report = health.readiness();
    assert!(
        !report.up && report.json.contains(r#""details":{"error":"no broker answers"}"#),
        "{}",
        report.json
    );
}

#[test]
fn stopping_takes_readiness_and_leaves_liveness() {
    let health = Health::default();
    health.component("kafka").up();
    health.stopping();
    assert!(health.readiness().json.starts_with(r#"{"status":"OUT_OF_SERVICE""#));
    assert!(health.liveness().up);
}

#[test]
fn what_is_broken_stays_broken_and_keeps_its_first_reason() {
    let health = Health::default();
    health.broken("fenced");
    health.broken("another");
    assert!(health.liveness().json.contains("fenced") && !health.liveness().up && !health.readiness().up);
}

#[test]
fn a_component_is_up_once_every_watcher_says_so_and_each_reason_is_told_once() {
    let health = Health::default();
    let writers = health.component("kafka").split(["raw", "late"], "not joined");
    assert!(health.readiness().json.contains("not joined (late, raw)"), "{}", health.readiness().json);
    writers[0].up();
    assert!(!health.readiness().up && writers[0].is_up());
    writers[1].up();
    assert!(health.readiness().up);
    writers[0].down("no broker answers");
    assert!(health.readiness().json.contains("no broker answers (raw)"));
}

#[test]
fn a_report_is_true_for_a_while() {
    let health = Health::default();
    let [first, second] = &health.component("kafka").good_for(LIMIT).split(["1", "2"], "")[..] else {
        unreachable!("two watchers")
    };
    let at = |after: Duration| health.lock().body(&[], monotonic() + after).report();
    first.up();
    second.up();
    assert!(at(Duration::ZERO).up);
    let stale = at(2 * LIMIT).json;
    assert!(stale.contains("nothing was heard for 60 s; before that: up (1, 2)"), "{stale}");
    second.down("no broker answers");
    assert!(at(2 * LIMIT).json.contains("before that: no broker answers (2)"));
    assert!(health.liveness().up, "a stale check is nothing that a restart would mend for sure");
}

#[test]
fn numbers_of_watchers_add_up_and_the_longest_time_counts() {
    let health = Health::default();
    let now = monotonic();
    for (thread, seconds) in health.component("aggregation").split(["0", "1"], "").iter().zip([9, 5]) {
        thread.up();
        thread.detail("lag", 21);
        thread.detail_since("secondsSinceFlush", now + LIMIT - Duration::from_secs(seconds));
    }
    let json = health.lock().body(&[], now + LIMIT).report().json;
    let expected = r#""aggregation":{"status":"UP","details":{"lag":42,"secondsSinceFlush":9}}"#;
    assert!(json.contains(expected), "{json}");
}

const LIMIT: Duration = Duration::from_secs(30);
