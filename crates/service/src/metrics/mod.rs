//! Metrics of the process, rendered in Prometheus' text format.
//!
//! Each service lists its own in its `metrics.rs`, and records through the macros of crate `metrics`; this is the recorder
//! behind them, and what is true of any process.

mod metric;
pub mod text;

use std::time::Duration;

use metrics::gauge;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds in seconds of every histogram whose name ends in `_seconds`: half a millisecond to a minute.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Upper bounds of every histogram whose name ends in `_rows`.
const ROWS: [f64; 10] =
    [1.0, 10.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0, 100_000.0, 1_000_000.0];

/// Between two sweeps of what histograms have gathered: 16 bytes a sample until then.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

const BUILD_INFO: Metric = Metric::gauge(
    "pageview_build_info",
    &["service", "version"],
    "Always 1; its labels name the service and its version",
);
const CPU_SECONDS: Metric = Metric::gauge(
    "process_cpu_seconds_total",
    &[],
    "CPU time used by this process, user and system, in seconds: it only grows",
);
const RESIDENT_BYTES: Metric =
    Metric::gauge("process_resident_memory_bytes", &[], "Memory of this process that is in RAM, in bytes");
pub(crate) const COMPONENT_UP: Metric = Metric::gauge(
    "health_component_up",
    &["component"],
    "Whether a component of /actuator/health is UP: 1 or 0",
);
pub(crate) const CLOUDWATCH_DATA: Metric = Metric::counter(
    "cloudwatch_data_total",
    &["outcome"],
    "Data points for CloudWatch: sent, or dropped because it had taken none for too long",
);

/// What every process has.
pub const METRICS: [Metric; 5] = [BUILD_INFO, CPU_SECONDS, RESIDENT_BYTES, COMPONENT_UP, CLOUDWATCH_DATA];

pub use metric::{Kind, Metric, cloudwatch_name};

/// Tells the recorder what `metrics` are, once at the start.
pub fn describe(metrics: &[Metric]) {
    metrics.iter().for_each(Metric::describe);
}

/// Reads what was recorded.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
}

impl Metrics {
    /// Installs the recorder; once in a process.
    pub(crate) fn install(service: &'static str, version: &'static str) -> Result<Self, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_rows".to_owned()), &ROWS)?
            .install_recorder()?;
        describe(&METRICS);
        gauge!(BUILD_INFO.name, "service" => service, "version" => version).set(1.0);
        Ok(Self { recorder })
    }

    /// All metrics as text.
    #[must_use]
    pub fn render(&self) -> String {
        if let Some(bytes) = resident_bytes() {
            gauge!(RESIDENT_BYTES.name).set(bytes as f64);
        }
        if let Some(seconds) = cpu_seconds() {
            gauge!(CPU_SECONDS.name).set(seconds);
        }
        self.recorder.render()
    }

    /// Takes up the samples of histograms, which pile up otherwise, scraped or not; runs for ever.
    pub(crate) async fn keep_up(self) {
        loop {
            self.recorder.run_upkeep();
            pause().await;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "paces housekeeping")]
async fn pause() {
    tokio::time::sleep(UPKEEP_INTERVAL).await;
}

/// From `/proc/self/statm`, whose second field counts pages; `None` where there is no such file.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// From `/proc/self/stat`, fields 14 and 15, in ticks of 10 ms; the command's name before them may hold spaces.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}
