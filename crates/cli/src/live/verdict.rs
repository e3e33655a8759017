//! The sentence: is it working, how fast, is anything lost?
//!
//! | what is seen | verdict |
//! | --- | --- |
//! | nobody was asked yet | looking |
//! | the audit is violated, or offsets were dropped before they were counted or in S3 | lost |
//! | none of the services answers | unreachable |
//! | a service, Kafka or S3 is away, a replica says what is wrong, something is late | degraded |
//! | all else | working |

use super::snapshot::{Audit, Finding, Level, Reach, Replica, Service, Snapshot, State, Trouble, Verdict};
use super::words::{brief, count, counted, rate, span};

/// A replica that went without a word is news for so long, while others of its service work on.
const NEWS: u64 = 15;
/// A share of 5xx that is no accident.
const FAILING: f64 = 0.01;
/// How late the sink may be, over its flush interval, in seconds.
const LATE: f64 = 30.0;
/// So many seconds of what comes in may wait for the aggregator, or so many events where little comes in.
const BEHIND: (f64, f64) = (20.0, 10_000.0);
/// How many reasons stand in the sentence.
const SHOWN: usize = 2;

/// Judges a snapshot by everything else in it.
pub(super) fn verdict(snapshot: &Snapshot) -> Verdict {
    let losses = losses(snapshot);
    if !losses.is_empty() {
        // The audit knows that a balance does not come out even, and not always by which of the two.
        let what = if snapshot.storing.lost > 0.0 { "lost" } else { "lost or doubled" };
        let words = format!("Something is {what}: {}.", joined(&losses));
        return Verdict { level: Level::Lost, words, reasons: losses };
    }
    if snapshot.kafka.up.is_none() && snapshot.services.iter().all(|service| service.replicas.is_empty()) {
        let words = "Looking for the pipeline.".to_owned();
        return Verdict { level: Level::Looking, words, reasons: Vec::new() };
    }
    if snapshot.services.iter().all(|service| service.replicas.iter().all(is_away)) {
        return unreachable(snapshot);
    }
    let reasons = reasons(snapshot);
    if reasons.is_empty() {
        return Verdict { level: Level::Working, words: working(snapshot), reasons };
    }
    let waiting = match snapshot.storing.waiting {
        Some(1) => " 1 event waits in Kafka; nothing is lost.".to_owned(),
        Some(events) if events > 0 => {
            format!(" {} wait in Kafka, none is lost.", counted(events, "event"))
        }
        _ => String::new(),
    };
    Verdict { level: Level::Degraded, words: format!("Degraded: {}.{waiting}", joined(&reasons)), reasons }
}

fn losses(snapshot: &Snapshot) -> Vec<String> {
    let mut losses = Vec::new();
    if snapshot.storing.lost > 0.0 {
        let offsets = count(snapshot.storing.lost);
        losses.push(format!("retention dropped {offsets} offsets before they were counted or in S3"));
    }
    let checks = snapshot.audit.last.iter().flat_map(|audit| &audit.checks);
    for check in checks.filter(|check| check.result == Finding::Violated) {
        let finding = check.findings.first().map_or("", String::as_str);
        losses.push(format!("the audit finds \"{}\" violated: {finding}", check.name));
    }
    losses
}

fn unreachable(snapshot: &Snapshot) -> Verdict {
    let mut away: Vec<_> =
        snapshot.services.iter().map(|service| format!("{} at {}", service.name, service.asked)).collect();
    for (name, reach) in [("Kafka", &snapshot.kafka), ("S3", &snapshot.s3)] {
        if reach.up == Some(false) {
            away.push(format!("{name} at {}", reach.asked));
        }
    }
    let words = format!("Nothing answers: no {}. Does it run? `make up` starts it.", away.join(", no "));
    Verdict { level: Level::Unreachable, words, reasons: away }
}

/// What keeps it from working as it should, the cause before what follows from it.
fn reasons(snapshot: &Snapshot) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, reach) in [("Kafka", &snapshot.kafka), ("S3", &snapshot.s3)] {
        if reach.up == Some(false) {
            let words = told(reach.words.as_deref().unwrap_or("no answer"), reach);
            // It may be our own fault, of a credential say.
            let only_we = if finds_no_fault(snapshot, name) { "; the services do not complain" } else { "" };
            reasons.push(format!("{name} does not answer for {} ({words}{only_we})", span(reach.seconds)));
        }
    }
    for service in &snapshot.services {
        reasons.extend(troubles(service, &snapshot.kafka, &snapshot.s3));
    }
    let (intake, counting, storing) = (&snapshot.intake, &snapshot.counting, &snapshot.storing);
    if let Some(failed) = intake.failed.filter(|failed| *failed > FAILING) {
        reasons.push(format!("{:.0} % of requests are answered 5xx", failed * 100.0));
    }
    let limit = BEHIND.1.max(intake.events.unwrap_or(0.0) * BEHIND.0);
    if let Some(waiting) = counting.waiting.filter(|waiting| *waiting as f64 > limit) {
        reasons.push(format!("the aggregator is {} behind", counted(waiting, "event")));
    }
    if storing.oldest > storing.flush_interval as f64 + LATE {
        reasons.push(format!("s3-sink is late: its oldest event waits for {}", span(storing.oldest as u64)));
    }
    if storing.parked > 0.0 {
        let partitions = counted(storing.parked as u64, "partition");
        reasons.push(format!("s3-sink has stopped {partitions}: its log says why"));
    }
    reasons
}

/// Whether replicas that need a system answer, and none of them complains of it.
fn finds_no_fault(snapshot: &Snapshot, system: &str) -> bool {
    let of = |service: &&Service| system != "S3" || service.name == "s3-sink";
    let complains = |trouble: &Trouble| trouble.component.eq_ignore_ascii_case(system);
    let mut replicas = snapshot.services.iter().filter(of).flat_map(|service| &service.replicas);
    let is_well = |replica: &Replica| is_away(replica) || !replica.troubles.iter().any(complains);
    replicas.clone().any(|replica| !is_away(replica)) && replicas.all(is_well)
}

/// What is wrong with a service. What its replicas say of a system that does not answer us either is said already.
fn troubles(service: &Service, kafka: &Reach, s3: &Reach) -> Vec<String> {
    let is_there = service.replicas.iter().any(|replica| !is_away(replica));
    let mut troubles = Vec::new();
    for replica in &service.replicas {
        let (name, time) = (&replica.name, span(replica.seconds));
        match replica.state {
            State::Up => {}
            State::Gone if !is_there || replica.seconds < NEWS => {
                troubles.push(format!("{name} does not answer for {time}"));
            }
            State::Left if !is_there => troubles.push(format!("{name} was stopped {time} ago")),
            State::Gone | State::Left | State::Stopping => {}
            State::Down => {
                let own = replica.troubles.iter().filter(|trouble| match trouble.component.as_str() {
                    "kafka" => kafka.up != Some(false),
                    "s3" => s3.up != Some(false),
                    _ => true,
                });
                troubles.extend(own.map(|Trouble { component, words }| match component.as_str() {
                    "kafka" => format!("{name} cannot use Kafka for {time} ({})", brief(words)),
                    "s3" => format!("{name} cannot reach S3 for {time} ({})", told(words, s3)),
                    _ => format!("{name} is not ready for {time} ({component}: {})", brief(words)),
                }));
            }
        }
    }
    if service.replicas.is_empty() {
        troubles.push(format!("no {} answers at {}", service.name, service.asked));
    }
    troubles
}

/// An error's words, without where that was asked for: whoever reads them knows.
fn told(words: &str, asked: &Reach) -> String {
    let at = format!("{}: ", asked.asked);
    brief(words.strip_prefix(&at).unwrap_or(words))
}

fn working(snapshot: &Snapshot) -> String {
    let events = snapshot.intake.events.unwrap_or(0.0);
    let flow = if events > 0.0 {
        format!("{} events/s in, counted and in S3", rate(events))
    } else {
        "no events come in right now".to_owned()
    };
    format!("Working: {flow}; {}.", audited(&snapshot.audit))
}

fn audited(audit: &Audit) -> String {
    let Some(last) = &audit.last else {
        return match (&audit.trouble, audit.every) {
            (Some(trouble), _) => format!("the audit could not look ({})", brief(trouble)),
            (None, 0) => "not audited".to_owned(),
            (None, _) => "not audited yet".to_owned(),
        };
    };
    let checks = counted(last.checks.len() as u64, "check");
    let looked = format!("audited {} ago: {checks}, {}", span(last.seconds), counted(last.events, "event"));
    match last.result {
        Finding::Ok => format!("nothing lost ({looked})"),
        Finding::OnItsWay if last.on_their_way > 0 => {
            let verb = if last.on_their_way == 1 { "is on its way" } else { "are on their way" };
            format!("nothing is missing, {} {verb} ({looked})", counted(last.on_their_way, "event"))
        }
        Finding::OnItsWay => format!("nothing is missing, something is on its way ({looked})"),
        Finding::NotProvable => format!("nothing is missing, and not all can be proved ({looked})"),
        // Said before.
        Finding::Violated => format!("violated ({looked})"),
    }
}

const fn is_away(replica: &Replica) -> bool {
    matches!(replica.state, State::Gone | State::Left)
}

fn joined(reasons: &[String]) -> String {
    let shown = reasons.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    match reasons.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
