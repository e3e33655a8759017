//! What `/metrics` shows, as data points for CloudWatch: pure.
//!
//! | in `/metrics` | in CloudWatch |
//! | --- | --- |
//! | `s3_write_duration_seconds` | `s3.write.duration`, unit Seconds: without `_total` and `_seconds`, with dots |
//! | label `writer` | a dimension beside `service`; series that differ in other labels are one metric |
//! | counter | how much it grew in this step, 0 too: the Sum over time and processes is the total |
//! | gauge | its value, one a series: Sum is the total of threads and processes, Maximum the worst of them |
//! | histogram | what came in this step: SampleCount and Sum are exact, and each value is within its bucket |
//!
//! CloudWatch is paid by the metric, so most labels must not make more of them; a [`View`] tells those apart that matter.

use std::collections::{BTreeMap, HashMap};

use super::View;
use super::spread::spread;
use crate::metrics::cloudwatch_name;
use crate::metrics::text::{Sample, samples, types};

/// The label that becomes a dimension.
const WRITER: &str = "writer";
/// CloudWatch takes no more values of a metric at a time.
const MOST_VALUES: usize = 150;

/// A metric's data point of one step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datum {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// The dimension `writer`.
    pub(crate) writer: Option<String>,
    /// Each value, and how often there was one.
    pub(crate) values: Vec<(f64, f64)>,
}

/// Units, as CloudWatch calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Seconds,
    Bytes,
}

/// Remembers from one step to the next how far everything had grown.
#[derive(Debug)]
pub(crate) struct Export {
    views: &'static [View],
    grown: HashMap<String, f64>,
}

/// The series of `/metrics` that are one metric in CloudWatch.
#[derive(Debug)]
struct Gathered {
    unit: Unit,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Counter(f64),
    Gauge(Vec<f64>),
    /// By upper bound, ascending: how many values there were up to it; and the sum of all.
    Histogram(Vec<(f64, f64)>, f64),
}

impl Export {
    /// Of a process that has exported nothing yet.
    pub(crate) fn new(views: &'static [View]) -> Self {
        Self { views, grown: HashMap::new() }
    }

    /// The data points of this step; `text` is what `/metrics` shows at its end.
    pub(crate) fn step(&mut self, text: &str) -> Vec<Datum> {
        let kinds: HashMap<&str, &str> = types(text).collect();
        let mut gathered: BTreeMap<(String, Option<String>), Gathered> = BTreeMap::new();
        for sample in samples(text) {
            let (metric, part) = split(sample.name, &kinds);
            let kind = if metric.ends_with("_total") { "counter" } else { kinds.get(metric).unwrap_or(&"") };
            let growth = self.growth(&sample);
            for name in self.names(metric, &sample) {
                let key = (name, sample.label(WRITER).map(str::to_owned));
                let values = &mut gathered.entry(key).or_insert_with(|| Gathered::new(metric, kind)).values;
                match (values, part) {
                    (Values::Counter(total), _) => *total += growth,
                    (Values::Gauge(values), _) => values.push(sample.value),
                    (Values::Histogram(buckets, _), "bucket") => add(buckets, &sample, growth),
                    (Values::Histogram(_, sum), "sum") => *sum += growth,
                    (Values::Histogram(..), _) => {}
                }
            }
        }
        gathered.into_iter().flat_map(|((name, writer), gathered)| gathered.data(&name, &writer)).collect()
    }

    fn growth(&mut self, sample: &Sample<'_>) -> f64 {
        let before = self.grown.entry(sample.series.to_owned()).or_default();
        sample.value - std::mem::replace(before, sample.value)
    }

    /// What this sample of `metric` is a part of.
    fn names(&self, metric: &str, sample: &Sample<'_>) -> Vec<String> {
        let mut views = self.views.iter().filter(|view| view.metric == metric).peekable();
        if views.peek().is_none() {
            return vec![cloudwatch_name(metric)];
        }
        views.filter(|view| view.shows(sample)).map(|view| view.name.to_owned()).collect()
    }
}

impl View {
    fn shows(&self, sample: &Sample<'_>) -> bool {
        let has = |(label, prefix): &(&str, &str)| {
            sample.label(label).is_some_and(|value| value.starts_with(prefix))
        };
        self.only.iter().all(has)
    }
}

/// The metric that a sample is of, and which part of it where it is a histogram.
fn split<'a>(name: &'a str, kinds: &HashMap<&str, &str>) -> (&'a str, &'a str) {
    match name.rsplit_once('_') {
        Some((metric, part)) if kinds.get(metric) == Some(&"histogram") => (metric, part),
        _ => (name, ""),
    }
}

fn add(buckets: &mut Vec<(f64, f64)>, sample: &Sample<'_>, growth: f64) {
    // Rust reads Prometheus' +Inf as well.
    let Some(bound) = sample.label("le").and_then(|bound| bound.parse::<f64>().ok()) else { return };
    match buckets.iter_mut().find(|(known, _)| *known == bound) {
        Some((_, count)) => *count += growth,
        None => buckets.push((bound, growth)),
    }
}

impl Gathered {
    fn new(metric: &str, kind: &str) -> Self {
        let metric = metric.strip_suffix("_total").unwrap_or(metric);
        let unit = match metric.rsplit_once('_') {
            Some((_, "seconds")) => Unit::Seconds,
            Some((_, "bytes")) => Unit::Bytes,
            _ => Unit::Count,
        };
        let values = match kind {
            "counter" => Values::Counter(0.0),
            "histogram" => Values::Histogram(Vec::new(), 0.0),
            _ => Values::Gauge(Vec::new()),
        };
        Self { unit, values }
    }

    fn data(self, name: &str, writer: &Option<String>) -> Vec<Datum> {
        let mut values: Vec<(f64, f64)> = match self.values {
            Values::Counter(total) => vec![(total, 1.0)],
            Values::Gauge(values) => values.into_iter().map(|value| (value, 1.0)).collect(),
            Values::Histogram(buckets, sum) => spread(&buckets, sum),
        };
        values.retain(|(value, _)| value.is_finite());
        let datum = |values: &[(f64, f64)]| Datum {
            name: name.to_owned(),
            unit: self.unit,
            writer: writer.clone(),
            values: values.to_vec(),
        };
        values.chunks(MOST_VALUES).map(datum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWS: [View; 2] = [
        View { name: "http.requests", metric: "http_requests_total", only: &[("route", "/api/")] },
        View {
            name: "http.requests.5xx",
            metric: "http_requests_total",
            only: &[("route", "/api/"), ("status", "5")],
        },
    ];

    fn values(data: &[Datum], name: &str, writer: Option<&str>) -> Vec<(f64, f64)> {
        let of = |datum: &&Datum| datum.name == name && datum.writer.as_deref() == writer;
        data.iter().filter(of).flat_map(|datum| datum.values.clone()).collect()
    }

    #[test]
    fn a_counter_is_how_much_it_grew_and_its_other_labels_add_up() {
        let text = |kept: u32, lost: u32| {
            format!(
                "# TYPE s3_errors_total counter\ns3_errors_total{{writer=\"raw\",kind=\"busy\"}} {kept}\n\
                 s3_errors_total{{writer=\"raw\",kind=\"denied\"}} {lost}\n\
                 s3_errors_total{{writer=\"late\",kind=\"busy\"}} 1\n"
            )
        };
        let mut export = Export::new(&[]);
        let first = export.step(&text(3, 4));
        assert_eq!(values(&first, "s3.errors", Some("raw")), [(7.0, 1.0)]);
        assert_eq!(first[0].unit, Unit::Count);
        let second = export.step(&text(3, 9));
        assert_eq!(values(&second, "s3.errors", Some("raw")), [(5.0, 1.0)]);
        assert_eq!(values(&second, "s3.errors", Some("late")), [(0.0, 1.0)], "no growth is sent, too");
    }

    #[test]
    fn a_gauge_is_a_value_of_each_series() {
        let text = "# TYPE aggregator_consumer_lag gauge\naggregator_consumer_lag{thread=\"0\"} 5\n\
                    aggregator_consumer_lag{thread=\"1\"} 7\n# TYPE process_cpu_seconds_total gauge\n\
                    process_cpu_seconds_total 1.5\n# TYPE open_bytes gauge\nopen_bytes NaN\n";
        let data = Export::new(&[]).step(text);
        assert_eq!(values(&data, "aggregator.consumer.lag", None), [(5.0, 1.0), (7.0, 1.0)]);
        assert_eq!(values(&data, "process.cpu", None), [(1.5, 1.0)], "what only grows is a counter");
        assert_eq!(data.iter().find(|datum| datum.name == "process.cpu").unwrap().unit, Unit::Seconds);
        assert!(values(&data, "open.bytes", None).is_empty(), "CloudWatch refuses what is no number");
    }

    #[test]
    fn a_histogram_is_what_came_in_this_step() {
        let text = |fast: u32, all: u32, sum: f64| {
            format!(
                "# TYPE s3_write_duration_seconds histogram\n\
                 s3_write_duration_seconds_bucket{{writer=\"raw\",le=\"0.1\"}} {fast}\n\
                 s3_write_duration_seconds_bucket{{writer=\"raw\",le=\"1\"}} {all}\n\
                 s3_write_duration_seconds_bucket{{writer=\"raw\",le=\"+Inf\"}} {all}\n\
                 s3_write_duration_seconds_sum{{writer=\"raw\"}} {sum}\n\
                 s3_write_duration_seconds_count{{writer=\"raw\"}} {all}\n"
            )
        };
        let mut export = Export::new(&[]);
        export.step(&text(1, 2, 0.55));
        let data = export.step(&text(2, 4, 1.1));
        let of = values(&data, "s3.write.duration", Some("raw"));
        assert_eq!(of.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1.0, 1.0]);
        let sum: f64 = of.iter().map(|(value, count)| value * count).sum();
        assert!((sum - 0.55).abs() < 1e-9 && data[0].unit == Unit::Seconds, "{data:?}");
        assert!(export.step(&text(2, 4, 1.1)).is_empty(), "nothing came");
    }

    #[test]
    fn views_take_the_place_of_their_metric() {
        let text = "# TYPE http_requests_total counter\nhttp_requests_total{route=\"/api/pageviews\",status=\"202\"} 8\n\
                    http_requests_total{route=\"/api/pageviews\",status=\"503\"} 2\n\
                    http_requests_total{route=\"/actuator\",status=\"503\"} 50\n";
        let data = Export::new(&VIEWS).step(text);
        assert_eq!(values(&data, "http.requests", None), [(10.0, 1.0)]);
        assert_eq!(values(&data, "http.requests.5xx", None), [(2.0, 1.0)]);
        assert_eq!(data.len(), 2);
    }
}
