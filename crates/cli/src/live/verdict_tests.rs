//! The truth table of the verdict: a row for each sentence.

use super::super::snapshot::{Audited, Check};
use super::*;

fn replica(name: &str, state: State, seconds: u64, troubles: &[(&str, &str)]) -> Replica {
    let trouble = |(component, words): &(&str, &str)| Trouble {
        component: (*component).to_owned(),
        words: (*words).to_owned(),
    };
    Replica {
        name: name.to_owned(),
        address: String::new(),
        state,
        seconds,
        troubles: troubles.iter().map(trouble).collect(),
        restarts: 0,
        cores: None,
        memory_bytes: 0.0,
        lag: None,
        version: None,
    }
}

fn service(name: &'static str) -> Service {
    let replicas = vec![replica(&format!("{name}-1"), State::Up, 60, &[])];
    Service { name, asked: "localhost:1-9".to_owned(), replicas }
}

fn well() -> Snapshot {
    let up = |asked: &str| Reach { asked: asked.to_owned(), up: Some(true), ..Reach::default() };
    let mut snapshot = Snapshot {
        services: ["ingest-api", "aggregator", "s3-sink"].map(service).into(),
        kafka: up("localhost:9092"),
        s3: up("s3://b"),
        ..Snapshot::default()
    };
    snapshot.intake.events = Some(4980.4);
    snapshot.storing.flush_interval = 10;
    snapshot.audit.every = 60;
    snapshot.audit.last = Some(audit(Finding::Ok, 0));
    snapshot
}

fn audit(result: Finding, on_their_way: u64) -> Audited {
    let check = |name: &str, result| Check {
        name: name.to_owned(),
        result,
        compared: String::new(),
        findings: vec!["events not accounted for: 1".to_owned()],
    };
    let checks = vec![check("the ledger tiles", Finding::Ok), check("every event is counted once", result)];
    Audited { result, seconds: 20, took_ms: 900, events: 148_212, on_their_way, checks }
}

/// The verdict on a pipeline that is well except for `change`.
fn with(change: impl FnOnce(&mut Snapshot)) -> (Level, String) {
    let mut snapshot = well();
    change(&mut snapshot);
    let Verdict { level, words, .. } = verdict(&snapshot);
    (level, words)
}

#[test]
fn a_pipeline_that_works() {
    const LOOKED: &str = "(audited 20 s ago: 2 checks, 148,212 events)";
    let said = |change: fn(&mut Snapshot)| {
        let (level, words) = with(change);
        assert_eq!(level, Level::Working, "{words}");
        words.replace(LOOKED, "(…)")
    };
    assert_eq!(
        with(|_| ()).1,
        format!("Working: 4,980 events/s in, counted and in S3; nothing lost {LOOKED}.")
    );
    let rest = "Working: 4,980 events/s in, counted and in S3;";
    assert_eq!(
        said(|it| it.audit.last = Some(audit(Finding::OnItsWay, 12_311))),
        format!("{rest} nothing is missing, 12,311 events are on their way (…).")
    );
    assert_eq!(
        said(|it| it.audit.last = Some(audit(Finding::OnItsWay, 0))),
        format!("{rest} nothing is missing, something is on its way (…).")
    );
    assert_eq!(
        said(|it| it.audit.last = Some(audit(Finding::NotProvable, 0))),
        format!("{rest} nothing is missing, and not all can be proved (…).")
    );
    assert_eq!(said(|it| it.audit.last = None), format!("{rest} not audited yet."));
    assert_eq!(said(|it| it.audit = Audit::default()), format!("{rest} not audited."));
    assert_eq!(
        said(|it| it.intake.events = Some(0.0)),
        "Working: no events come in right now; nothing lost (…)."
    );
    // Others work on for one that was told to stop, or has been gone for a while.
    for state in [State::Stopping, State::Left, State::Gone] {
        let (level, words) = with(|it| it.services[1].replicas.push(replica("aggregator-2", state, 20, &[])));
        assert_eq!(level, Level::Working, "{words}");
    }
}

#[test]
fn a_pipeline_that_is_degraded_says_why() {
    let said = |change: fn(&mut Snapshot)| {
        let (level, words) = with(change);
        assert_eq!(level, Level::Degraded, "{words}");
        words
    };
    let away = |reach: &mut Reach| (reach.up, reach.seconds) = (Some(false), 12);
    assert_eq!(
        with(|it| {
            away(&mut it.s3);
            it.s3.words = Some("s3://b: dispatch failure: io error: Connection refused (os error 111)".to_owned());
            it.services[2].replicas = vec![replica("s3-sink-1", State::Down, 11, &[("s3", "x")])];
            it.storing.waiting = Some(30_000);
        }),
        (
            Level::Degraded,
            "Degraded: S3 does not answer for 12 s (Connection refused). 30,000 events wait in Kafka, none is lost."
                .to_owned()
        )
    );
    assert_eq!(
        said(|it| (it.kafka.up, it.kafka.words) = (Some(false), Some("no broker answers".to_owned()))),
        "Degraded: Kafka does not answer for 0 s (no broker answers; the services do not complain)."
    );
    assert_eq!(
        said(|it| {
            it.services[2].replicas =
                vec![replica("s3-sink-1", State::Down, 12, &[("s3", "s3://b: 503 SlowDown (raw)")])];
            it.storing.waiting = Some(1);
        }),
        "Degraded: s3-sink-1 cannot reach S3 for 12 s (503 SlowDown (raw)). 1 event waits in Kafka; nothing is lost."
    );
    assert_eq!(
        said(|it| it.services[1].replicas[0] = replica("aggregator-1", State::Gone, 40, &[])),
        "Degraded: aggregator-1 does not answer for 40 s."
    );
    assert_eq!(
        said(|it| it.services[1].replicas.push(replica("aggregator-2", State::Gone, 3, &[]))),
        "Degraded: aggregator-2 does not answer for 3 s."
    );
    assert_eq!(
        said(|it| it.services[1].replicas[0].state = State::Left),
        "Degraded: aggregator-1 was stopped 60 s ago."
    );
    assert_eq!(
        said(|it| it.services[0].replicas.clear()),
        "Degraded: no ingest-api answers at localhost:1-9."
    );
    assert_eq!(
        said(|it| {
            let troubles = [("kafka", "joining the group"), ("other", "starting")];
            it.services[1].replicas = vec![replica("aggregator-1", State::Down, 2, &troubles)];
            it.services[0].replicas.clear();
        }),
        "Degraded: no ingest-api answers at localhost:1-9; aggregator-1 cannot use Kafka for 2 s (joining the group); \
         and 1 more."
    );
    assert_eq!(said(|it| it.intake.failed = Some(0.12)), "Degraded: 12 % of requests are answered 5xx.");
    assert_eq!(
        said(|it| it.counting.waiting = Some(100_000)),
        "Degraded: the aggregator is 100,000 events behind."
    );
    assert_eq!(
        said(|it| it.storing.oldest = 41.0),
        "Degraded: s3-sink is late: its oldest event waits for 41 s."
    );
    assert_eq!(
        said(|it| it.storing.parked = 2.0),
        "Degraded: s3-sink has stopped 2 partitions: its log says why."
    );
}

#[test]
fn what_is_within_bounds_is_no_reason() {
    let (level, words) = with(|it| {
        it.intake.failed = Some(0.009);
        it.counting.waiting = Some(90_000);
        it.storing.oldest = 39.0;
        it.storing.waiting = Some(50_000);
    });
    assert_eq!(level, Level::Working, "{words}");
}

#[test]
fn a_loss_goes_before_everything_else() {
    let (level, words) = with(|it| {
        it.audit.last = Some(audit(Finding::Violated, 0));
        it.kafka.up = Some(false);
    });
    assert_eq!(level, Level::Lost);
    assert_eq!(
        words,
        "Something is lost or doubled: the audit finds \"every event is counted once\" violated: events not accounted for: 1."
    );
    let (level, words) = with(|it| it.storing.lost = 1200.0);
    assert_eq!(level, Level::Lost);
    assert_eq!(
        words,
        "Something is lost: retention dropped 1,200 offsets before they were counted or in S3."
    );
}

#[test]
fn nobody_answers() {
    assert_eq!(verdict(&Snapshot::default()).level, Level::Looking);
    let (level, words) = with(|it| {
        it.services.iter_mut().for_each(|service| service.replicas.clear());
        it.kafka.up = Some(false);
    });
    assert_eq!(level, Level::Unreachable);
    assert_eq!(
        words,
        "Nothing answers: no ingest-api at localhost:1-9, no aggregator at localhost:1-9, no s3-sink at localhost:1-9, \
         no Kafka at localhost:9092. Does it run? `make up` starts it."
    );
}
