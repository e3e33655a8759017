//! What a process has used, by `/proc`.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use service::clock;

/// What one run of a contestant took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    /// How many events it read.
    pub(crate) events: u64,
    /// From its first record to its last.
    pub(crate) took: Duration,
    /// User and system time of its process meanwhile.
    pub(crate) cpu: Duration,
    /// The most memory of its process since it started, in bytes.
    pub(crate) peak_rss: u64,
}

impl Usage {
    /// Events per second.
    pub(crate) fn rate(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }

    /// CPU seconds per million events.
    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.events as f64
    }
}

/// A process, and what it had used at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pid: u32,
    at: Instant,
    cpu: Duration,
}

impl Mark {
    /// Now.
    pub(crate) fn now(pid: u32) -> anyhow::Result<Self> {
        Ok(Self { pid, at: clock::monotonic(), cpu: cpu(pid)? })
    }

    /// What the process has used from this moment until `then`.
    pub(crate) fn until(&self, then: &Self, events: u64) -> anyhow::Result<Usage> {
        Ok(Usage {
            events,
            took: then.at.duration_since(self.at),
            cpu: then.cpu.saturating_sub(self.cpu),
            peak_rss: peak_rss(self.pid)?,
        })
    }
}

fn cpu(pid: u32) -> anyhow::Result<Duration> {
    parse_cpu(&read(pid, "stat")?).context("/proc/PID/stat is not as in proc(5)")
}

fn peak_rss(pid: u32) -> anyhow::Result<u64> {
    parse_peak_rss(&read(pid, "status")?).context("/proc/PID/status has no VmHWM")
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}: the process has ended"))
}

/// Fields 14 and 15, in hundredths of a second on every Linux of today. The second field may hold blanks (proc(5)).
fn parse_cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

fn parse_peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194304 1 0 0 0 150 25 0 0 20 0 1 0 777 0 0";
        assert_eq!(parse_cpu(stat), Some(Duration::from_millis(1750)));
        assert_eq!(parse_peak_rss("VmPeak:\t 9 kB\nVmHWM:\t   1024 kB\n"), Some(1 << 20));
        assert!(peak_rss(std::process::id()).unwrap() > 0);
    }

    #[test]
    fn rates() {
        let usage = Usage {
            events: 2_000_000,
            took: Duration::from_secs(4),
            cpu: Duration::from_secs(1),
            peak_rss: 0,
        };
        assert_eq!((usage.rate(), usage.cpu_per_million()), (500_000.0, 0.5));
    }
}
