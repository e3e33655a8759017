//! What a metric is: the one place that says so, for `/metrics` and for `docs/reference/metrics.md`.

use metrics::{counter, describe_counter, describe_gauge, describe_histogram};

/// A metric of one of our processes, named as in Prometheus.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name; what it ends in is its unit: `_seconds`, `_bytes`, or a number of what the name says.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts or measures, and why that is worth knowing.
    pub help: &'static str,
}

/// What a metric is called in CloudWatch, as Micrometer would: `s3.writes` is `s3_writes_total`. The unit is beside it there.
#[must_use]
pub fn cloudwatch_name(metric: &str) -> String {
    let metric = metric.strip_suffix("_total").unwrap_or(metric);
    metric.strip_suffix("_seconds").unwrap_or(metric).replace('_', ".")
}

/// Kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; starts at zero with the process.
    Counter,
    /// As it is at the moment.
    Gauge,
    /// How many values were at most as large as each of some bounds.
    Histogram,
}

impl Kind {
    /// As Prometheus' text format has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// A counter.
    #[must_use]
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    /// A histogram.
    #[must_use]
    pub const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, labels, help }
    }

    /// Tells the recorder what it is. A counter without labels is there from now on, at zero: the first increment of one
    /// that is not there before is invisible to whoever computes rates.
    pub(super) fn describe(&self) {
        match self.kind {
            Kind::Counter => describe_counter!(self.name, self.help),
            Kind::Gauge => describe_gauge!(self.name, self.help),
            Kind::Histogram => describe_histogram!(self.name, self.help),
        }
        if self.kind == Kind::Counter && self.labels.is_empty() {
            counter!(self.name).absolute(0);
        }
    }
}
