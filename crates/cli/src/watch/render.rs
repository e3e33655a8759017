//! A snapshot as text.

use indicatif::{HumanBytes, HumanCount};

use crate::live::snapshot::{Audit, Finding, Level, Replica, Service, Snapshot, State, TopMinutes};
use crate::live::words::{brief, count, counted, rate, span};

/// The heights of a curve.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The width of the first column, and of the longest bar.
const NAME: usize = 12;
const BAR: u64 = 24;

/// One line, for a log.
pub(super) fn line(snapshot: &Snapshot) -> String {
    format!("{}  {}", snapshot.at, snapshot.verdict.words)
}

/// A screen of so many columns, line by line.
pub(super) fn screen(snapshot: &Snapshot, columns: usize) -> Vec<String> {
    let mut lines = vec![format!("Pageview pipeline, {}", snapshot.at), String::new()];
    let mark = match snapshot.verdict.level {
        Level::Working => '✔',
        Level::Degraded => '!',
        Level::Lost => '✘',
        Level::Looking | Level::Unreachable => '?',
    };
    lines.extend(wrapped(&format!("{mark} {}", snapshot.verdict.words), columns));
    lines.push(String::new());
    lines.extend(flow(snapshot));
    lines.push(String::new());
    lines.extend(snapshot.services.iter().flat_map(replicas));
    lines.extend(systems(snapshot));
    lines.push(String::new());
    lines.extend(snapshot.top.iter().flat_map(top));
    lines.extend(objects(snapshot));
    lines.push(String::new());
    lines.extend(audit(&snapshot.audit));
    lines.iter().map(|line| cut(line, columns)).collect()
}

fn flow(snapshot: &Snapshot) -> Vec<String> {
    let (intake, counting, storing) = (&snapshot.intake, &snapshot.counting, &snapshot.storing);
    let known = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), rate);
    let time = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    let share =
        |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let waits = |waiting: Option<u64>| {
        waiting.map_or_else(|| "-".to_owned(), |events| HumanCount(events).to_string())
    };
    let mut lines = vec![
        row("in", &format!("{} events/s   {}", known(intake.events), curve(&intake.curve))),
        row(
            "answers",
            &format!(
                "p50 {}, p99 {}, 4xx {}, 5xx {}",
                time(intake.p50_ms),
                time(intake.p99_ms),
                share(intake.refused),
                share(intake.failed)
            ),
        ),
        row(
            "counted",
            &format!(
                "{} events/s in {} rows/s, late {}/s; {} repeats, {} dead letters; {} to be read",
                known(counting.counted),
                known(counting.rows),
                known(counting.late),
                count(counting.repeats),
                count(counting.dead_letters),
                waits(counting.waiting)
            ),
        ),
    ];
    if let Some(next) = &counting.next {
        let closes = next.closes_in.map_or_else(
            || "closes when events come, or after the idle timeout".to_owned(),
            |seconds| format!("closes in {}", span(seconds)),
        );
        let windows = counted(counting.open_windows as u64, "open window");
        lines.push(row("windows", &format!("{windows}; {} {closes}", minute(&next.start))));
    }
    lines.push(row(
        "in S3",
        &format!(
            "{} events/s, {} objects/min, {}/s; {} events wait in Kafka",
            known(storing.events),
            count(storing.objects_a_minute),
            HumanBytes(storing.bytes.unwrap_or(0.0) as u64),
            waits(storing.waiting)
        ),
    ));
    lines
}

fn replicas(service: &Service) -> Vec<String> {
    if service.replicas.is_empty() {
        return vec![row(service.name, &format!("none answers at {}", service.asked))];
    }
    service.replicas.iter().map(|replica| row(&replica.name, &said(replica))).collect()
}

fn said(replica: &Replica) -> String {
    let troubles = replica.troubles.iter().map(|it| format!("{}: {}", it.component, brief(&it.words)));
    let troubles = troubles.collect::<Vec<_>>().join("; ");
    let mut words = match replica.state {
        State::Up => "up".to_owned(),
        State::Down => format!("down for {}: {troubles}", span(replica.seconds)),
        State::Stopping => "stopping".to_owned(),
        State::Gone => format!("gone for {}: {troubles}", span(replica.seconds)),
        State::Left => format!("stopped {} ago", span(replica.seconds)),
    };
    if matches!(replica.state, State::Up | State::Down) {
        let cores = replica.cores.map_or_else(|| "-".to_owned(), |cores| format!("{:.0} %", cores * 100.0));
        words += &format!(", CPU {cores}, {}", HumanBytes(replica.memory_bytes as u64));
        if let Some(lag) = replica.lag {
            words += &format!(", {} to take in", HumanCount(lag));
        }
    }
    if replica.restarts > 0 {
        words += &format!(", {}", counted(replica.restarts.into(), "restart"));
    }
    words
}

fn systems(snapshot: &Snapshot) -> Vec<String> {
    let system = |(name, reach): (&str, &crate::live::snapshot::Reach)| {
        let words = reach.words.as_deref().map_or_else(|| "no answer yet".to_owned(), brief);
        let words = if reach.up == Some(true) { "answers".to_owned() } else { words };
        row(name, &format!("{words} ({})", reach.asked))
    };
    [("Kafka", &snapshot.kafka), ("S3", &snapshot.s3)].into_iter().map(system).collect()
}

fn top(top: &TopMinutes) -> Vec<String> {
    let most = top.rows.first().map_or(1, |row| row.pageviews.max(1));
    let title = format!("top postcodes of {} to {} UTC", minute(&top.first), minute(&top.last));
    let rows = top.rows.iter().map(|it| {
        let bar = "█".repeat((it.pageviews * BAR / most).max(1) as usize);
        row(&it.postcode, &format!("{bar} {}", HumanCount(it.pageviews)))
    });
    std::iter::once(title).chain(rows).chain([String::new()]).collect()
}

fn objects(snapshot: &Snapshot) -> Vec<String> {
    let newest = snapshot.objects.iter().filter_map(|folder| {
        let object = folder.objects.first()?;
        let name = format!("{}/", folder.name);
        let (records, age) = (counted(object.records, "record"), span(object.seconds));
        Some(row(&name, &format!("{records}, {age} old: {}", object.key)))
    });
    newest.collect()
}

fn audit(audit: &Audit) -> Vec<String> {
    let Some(last) = &audit.last else {
        let words = match (&audit.trouble, audit.every) {
            (Some(trouble), _) => format!("could not look: {}", brief(trouble)),
            (None, 0) => "off".to_owned(),
            (None, _) => "not yet".to_owned(),
        };
        return vec![row("audit", &words)];
    };
    let result = match last.result {
        Finding::Ok => "nothing is lost".to_owned(),
        Finding::OnItsWay => {
            format!("nothing is missing; {} on the way", counted(last.on_their_way, "event"))
        }
        Finding::NotProvable => "nothing is missing, and not all can be proved".to_owned(),
        Finding::Violated => "VIOLATED".to_owned(),
    };
    let took = format!("{:.1} s", last.took_ms as f64 / 1e3);
    let mut lines = vec![row("audit", &format!("{result}; {} ago, took {took}", span(last.seconds)))];
    for check in
        last.checks.iter().filter(|check| matches!(check.result, Finding::Violated | Finding::NotProvable))
    {
        lines.extend(check.findings.iter().map(|finding| row("", &format!("{}: {finding}", check.name))));
    }
    lines
}

fn row(name: &str, words: &str) -> String {
    format!("{name:<NAME$}  {words}")
}

/// `13:04` of `2026-11-24T13:04:00`.
fn minute(window: &str) -> &str {
    window.get(11..16).unwrap_or(window)
}

/// A point a character, and a blank where nobody looked.
fn curve(points: &[Option<f64>]) -> String {
    let most = points.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |point: &Option<f64>| match point {
        Some(rate) if most > 0.0 => BARS[(rate / most * 7.0).round().clamp(0.0, 7.0) as usize],
        Some(_) => BARS[0],
        None => ' ',
    };
    points.iter().map(bar).collect::<String>().trim_start().to_owned()
}

fn cut(line: &str, columns: usize) -> String {
    line.chars().take(columns).collect()
}

/// The words in lines of so many columns.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > 0 && length + 1 + word.chars().count() > columns {
            lines.push(format!("  {word}"));
        } else if let Some(line) = lines.last_mut() {
            if length > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::snapshot::{Folder, Object, TopRow};

    #[test]
    fn a_screen_shows_what_there_is_and_fits() {
        let mut snapshot = Snapshot { at: "2026-11-24T13:04:00Z".to_owned(), ..Snapshot::default() };
        snapshot.verdict.level = Level::Working;
        snapshot.verdict.words = "Working: 4,980 events/s in, counted and in S3; nothing lost.".to_owned();
        snapshot.intake.curve = vec![None, Some(0.0), Some(50.0), Some(100.0)];
        let top = TopRow { postcode: "SW19".to_owned(), pageviews: 42 };
        snapshot.top = Some(TopMinutes {
            first: "2026-11-24T12:55:00".to_owned(),
            last: "2026-11-24T13:04:00".to_owned(),
            pageviews: 42,
            postcodes: 1,
            rows: vec![top],
        });
        let object = Object { key: "raw/x".to_owned(), records: 7, seconds: 9 };
        snapshot.objects = vec![Folder { name: "raw", objects: vec![object] }];
        let wide = screen(&snapshot, usize::MAX).join("\n");
        for words in
            ["✔ Working: 4,980", "▁▅█", "top postcodes of 12:55 to 13:04 UTC", "7 records, 9 s old: raw/x"]
        {
            assert!(wide.contains(words), "{words} is not in\n{wide}");
        }
        let narrow = screen(&snapshot, 30);
        assert!(narrow.iter().all(|line| line.chars().count() <= 30), "{narrow:#?}");
        assert_eq!(
            narrow[2..5],
            ["✔ Working: 4,980 events/s in,", "  counted and in S3; nothing", "  lost."]
        );
        assert_eq!(
            line(&snapshot),
            "2026-11-24T13:04:00Z  Working: 4,980 events/s in, counted and in S3; nothing lost."
        );
    }
}
