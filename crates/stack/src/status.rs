//! How everything is, as a table.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dashboard;

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// For example `aggregator-1`.
    pub name: String,
    /// Its pid while it runs.
    pub pid: Option<u32>,
    /// How long it has been running.
    pub uptime: Option<Duration>,
    /// How often it ended without being told to.
    pub restarts: u32,
    /// Why it is not ready, or `None` when it is.
    pub not_ready: Option<String>,
    /// Where its health is, or where it serves.
    pub port: u16,
}

/// The whole stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// False while `up` has not finished.
    pub started: bool,
    /// One row a process, the infrastructure first.
    pub rows: Vec<Row>,
}

impl Status {
    /// Whether everything is ready; the dashboard, which only looks, does not count.
    pub fn is_ready(&self) -> bool {
        let mut rows = self.rows.iter().filter(|row| row.name != dashboard::NAME);
        self.started && rows.all(|row| row.not_ready.is_none())
    }

    /// Whether there is a dashboard that can be looked at.
    pub fn has_dashboard(&self) -> bool {
        self.rows.iter().any(|row| row.name == dashboard::NAME && row.not_ready.is_none())
    }

    /// The table that `stack status` prints.
    pub fn table(&self) -> String {
        let header = ["SERVICE", "REPLICA", "PID", "UPTIME", "RESTARTS", "PORT", "READY"].map(str::to_owned);
        let rows: Vec<[String; 7]> = std::iter::once(header).chain(self.rows.iter().map(cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..7).map(width).collect();
        let line = |row: &[String; 7]| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn cells(row: &Row) -> [String; 7] {
    let dash = || "-".to_owned();
    let (service, replica) = match row.name.rsplit_once('-') {
        Some((service, number)) if number.parse::<u16>().is_ok() => (service.to_owned(), number.to_owned()),
        _ => (row.name.clone(), dash()),
    };
    [
        service,
        replica,
        row.pid.map_or_else(dash, |pid| pid.to_string()),
        row.uptime.map_or_else(dash, uptime),
        row.restarts.to_string(),
        row.port.to_string(),
        row.not_ready.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}")),
    ]
}

fn uptime(uptime: Duration) -> String {
    let seconds = uptime.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let kafka = Row {
            name: "kafka".into(),
            pid: Some(41),
            uptime: Some(Duration::from_secs(3_700)),
            restarts: 0,
            not_ready: None,
            port: 9092,
        };
        let sink = Row {
            name: "s3-sink-2".into(),
            pid: None,
            uptime: None,
            restarts: 3,
            not_ready: Some("was killed by signal 9, starts again soon".into()),
            port: 8382,
        };
        let well = Status { started: true, rows: vec![kafka.clone()] };
        let blind = Row { name: "dashboard".into(), ..sink.clone() };
        let status = Status { rows: vec![kafka.clone(), blind], ..well.clone() };
        assert!(well.is_ready() && status.is_ready() && !status.has_dashboard());
        let status = Status { started: true, rows: vec![kafka, sink] };
        assert!(!status.is_ready());
        let expected = "\
SERVICE  REPLICA  PID  UPTIME  RESTARTS  PORT  READY
kafka    -        41   1h01m   0         9092  yes
s3-sink  2        -    -       3         8382  no: was killed by signal 9, starts again soon";
        assert_eq!(status.table(), expected);
    }

    #[test]
    fn uptimes() {
        let of = |seconds| uptime(Duration::from_secs(seconds));
        assert_eq!([of(9), of(69), of(7_300), of(90_000)], ["9s", "1m09s", "2h01m", "1d01h"]);
    }
}
