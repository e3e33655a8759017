use std::collections::BTreeMap;
use std::net::SocketAddr;

use service::clock::monotonic;

use super::super::picture::{Seen, Settings, Waiting};
use super::super::replicas::{Answer, Said};
use super::super::sample::Sample;
use super::super::snapshot::{Finding, Level};
use super::*;
use crate::audit::{Audited, Check};

const WALL: EpochMillis = EpochMillis(1_611_662_684_000);
const SECOND: Duration = Duration::from_secs(1);

fn picture(now: Instant) -> Picture {
    let settings = Settings {
        asked: Service::ALL.map(|service| (service, "localhost:1-9".to_owned())).into(),
        kafka: "localhost:9092".to_owned(),
        s3: "s3://b".to_owned(),
        grace: Duration::from_secs(5),
        flush_interval: Duration::from_secs(10),
        audit_every: Duration::from_secs(60),
    };
    Picture::new(settings, now)
}

fn answers(accepted: u64) -> Seen {
    let text = |service: Service| match service {
        Service::IngestApi => format!("pageviews_produced_total{{endpoint=\"batch\"}} {accepted}\n"),
        Service::Aggregator => "aggregator_stream_time_behind_seconds 2\naggregator_open_windows 3\n\
                                aggregator_consumer_lag{thread=\"0\"} 7\n"
            .to_owned(),
        Service::S3Sink => "s3_oldest_unflushed_seconds{writer=\"raw\"} 4\n".to_owned(),
    };
    let answer = |service: Service| Answer {
        service,
        at: SocketAddr::from(([127, 0, 0, 1], 1)),
        name: format!("{service}-1"),
        said: Ok(Said { sample: Sample::parse(service, &text(service)), troubles: Vec::new() }),
    };
    Seen::Replicas(Service::ALL.map(answer).into())
}

#[test]
fn what_was_seen_is_told() {
    let start = monotonic();
    let mut picture = picture(start);
    assert_eq!(picture.snapshot(Moment { instant: start, wall: WALL }).verdict.level, Level::Looking);
    picture.take(start, answers(1_000));
    picture.take(start + SECOND, answers(6_000));
    let waiting = Waiting { aggregator: 99, writers: [(Kind::Raw, 40)].into() };
    picture.take(start, Seen::Waiting(Ok(waiting)));
    picture.take(start, Seen::Entries(Ok(Vec::new())));
    let shown = picture.snapshot(Moment { instant: start + SECOND, wall: WALL });
    assert_eq!(shown.at, "2021-01-26T12:04:44Z");
    assert_eq!(shown.verdict.level, Level::Working, "{:?}", shown.verdict);
    assert_eq!(shown.intake.events, Some(5_000.0));
    assert_eq!((shown.storing.waiting, shown.storing.oldest), (Some(40), 4.0));
    assert_eq!(shown.counting.waiting, Some(7), "a process that answers knows better than its commit");
    let next = shown.counting.next.unwrap();
    assert_eq!((next.start.as_str(), next.closes_in), ("2021-01-26T12:04:00", Some(23)));
    assert!(serde_json::to_string(&picture.snapshot(Moment { instant: start, wall: WALL })).is_ok());
}

#[test]
fn a_window_closes_when_stream_time_has_passed_its_grace() {
    let grace = Duration::from_secs(5);
    let window = |seconds: i64, behind| {
        let next = next_window(EpochMillis(seconds * 1000), behind, grace);
        (next.start[14..16].to_owned(), next.closes_in)
    };
    assert_eq!(window(100, 0.0), ("01".to_owned(), Some(25)), "the minute that it is in");
    assert_eq!(window(64, 0.0), ("00".to_owned(), Some(1)), "still open for its grace time");
    assert_eq!(window(66, 2.0), ("00".to_owned(), Some(1)));
    assert_eq!(window(1_000, 900.0), ("01".to_owned(), None), "time stands still");
}

#[test]
fn systems_come_and_go() {
    let start = monotonic();
    let mut picture = picture(start);
    let s3 = |picture: &Picture, second: u32| {
        picture.snapshot(Moment { instant: start + SECOND * second, wall: WALL }).s3
    };
    picture.take(start, Seen::Entries(Err("no route".to_owned())));
    picture.take(start + 2 * SECOND, Seen::Entries(Err("refused".to_owned())));
    let away = s3(&picture, 9);
    assert_eq!((away.up, away.seconds, away.words.as_deref()), (Some(false), 9, Some("refused")));
    picture.take(start + 10 * SECOND, Seen::Entries(Ok(Vec::new())));
    assert_eq!((s3(&picture, 11).up, s3(&picture, 11).seconds), (Some(true), 1));
}

#[test]
fn an_audit_that_only_waits_is_no_error_and_a_failed_one_keeps_the_last() {
    let start = monotonic();
    let mut picture = picture(start);
    let check = Check {
        name: "every event is counted once".to_owned(),
        status: Status::NotProvable,
        compared: String::new(),
        findings: vec!["not before all has arrived".to_owned()],
        numbers: BTreeMap::new(),
    };
    let audited = |only_waits| Audited {
        status: Status::NotProvable,
        checks: vec![check.clone()],
        only_waits,
        events: 9,
        on_their_way: 4,
    };
    for (only_waits, result) in [(true, Finding::OnItsWay), (false, Finding::NotProvable)] {
        picture.take(start, Seen::AuditBegins);
        assert_eq!(picture.audit(start + SECOND).running, Some(1));
        picture.take(start + 2 * SECOND, Seen::Audited(Ok(audited(only_waits))));
        let shown = picture.audit(start + 5 * SECOND);
        let last = shown.last.unwrap();
        assert_eq!((last.result, last.checks[0].result, shown.running), (result, result, None));
        assert_eq!((last.seconds, last.took_ms, last.on_their_way), (3, 2_000, 4));
    }
    picture.take(start, Seen::Audited(Err("no bucket".to_owned())));
    let shown = picture.audit(start);
    assert_eq!((shown.trouble.as_deref(), shown.last.is_some()), (Some("no bucket"), true));
}
