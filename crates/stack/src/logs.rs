//! Shows logs, several at once, and goes on as they grow.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use stack::Home;

const EVERY: Duration = Duration::from_millis(250);
/// Told by name only: they say much, and little that concerns the pipeline.
const LOUD: [&str; 2] = ["kafka", "ministack"];

pub(crate) async fn show(home: &Home, service: Option<&str>, follow: bool, lines: usize) -> Result<ExitCode> {
    let logs = find(&home.logs(), service);
    if logs.is_empty() {
        bail!("there is no log of {} in {}", service.unwrap_or("anything"), home.logs().display());
    }
    let mut positions = BTreeMap::new();
    for (name, path) in logs {
        positions.insert(path.clone(), fs::metadata(&path)?.len());
        print(&name, &last_lines(&path, lines)?)?;
    }
    if !follow {
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        stack::pause(EVERY).await;
        for (name, path) in find(&home.logs(), service) {
            let position = positions.entry(path.clone()).or_default();
            print(&name, &new_lines(&path, position)?)?;
        }
    }
}

/// The logs that `service` names: its own, or those of its replicas.
fn find(folder: &Path, service: Option<&str>) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let logs = entries.filter_map(|entry| {
        let name = entry.file_name().to_str()?.strip_suffix(".log")?.to_owned();
        is_meant(&name, service).then(|| (name, entry.path()))
    });
    logs.collect()
}

fn is_meant(name: &str, service: Option<&str>) -> bool {
    let replica_of =
        name.rsplit_once('-').filter(|(_, number)| number.parse::<u16>().is_ok()).map(|(of, _)| of);
    match service {
        Some(service) => name == service || replica_of == Some(service),
        None => !LOUD.contains(&name) && (replica_of.is_some() || name == "supervisor"),
    }
}

fn last_lines(path: &Path, lines: usize) -> Result<String> {
    let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
    let from = text.lines().count().saturating_sub(lines);
    Ok(text.lines().skip(from).map(|line| format!("{line}\n")).collect())
}

/// Whole lines that were written after `position`, which moves on; a shorter file was begun anew.
fn new_lines(path: &Path, position: &mut u64) -> Result<String> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() < *position {
        *position = 0;
    }
    file.seek(SeekFrom::Start(*position))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    *position += whole as u64;
    Ok(String::from_utf8_lossy(&bytes[..whole]).into_owned())
}

fn print(name: &str, text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    text.lines().try_for_each(|line| writeln!(out, "{name:<14} | {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_means_its_replicas() {
        assert!(is_meant("s3-sink-2", Some("s3-sink")) && is_meant("s3-sink-2", Some("s3-sink-2")));
        assert!(!is_meant("s3-sink-2", Some("s3")) && !is_meant("aggregator-1", Some("s3-sink")));
        assert!(
            is_meant("aggregator-1", None) && is_meant("supervisor", None) && !is_meant("fetch-kafka", None)
        );
    }

    #[test]
    fn half_a_line_waits_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut position = 0;
        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(new_lines(&path, &mut position).unwrap(), "one\n");
        fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(new_lines(&path, &mut position).unwrap(), "two\n");
        fs::write(&path, "new\n").unwrap();
        assert_eq!(new_lines(&path, &mut position).unwrap(), "new\n");
    }
}
