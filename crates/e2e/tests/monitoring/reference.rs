//! `docs/reference/metrics.md`, from the same lists that the services describe their metrics by.

use std::fmt::Write as _;
use std::path::Path;

use service::metrics::{Kind, Metric};

/// Every metric, by who has it.
pub(crate) fn all() -> [(&'static str, &'static [Metric]); 4] {
    [
        ("every service", &service::metrics::METRICS),
        ("ingest-api", &ingest_api::metrics::METRICS),
        ("aggregator", &aggregator::METRICS),
        ("s3-sink", &s3_sink::METRICS),
    ]
}

/// `UPDATE_DOCS=1 make test` writes the page anew.
#[test]
fn the_page_lists_every_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "docs/reference/metrics.md is stale: run with UPDATE_DOCS=1");
}

#[test]
fn names_say_kind_and_unit_as_prometheus_has_it() {
    for Metric { name, kind, labels, .. } in all().iter().flat_map(|(_, metrics)| *metrics) {
        let counts = name.ends_with("_total");
        // CPU time is no whole number, which our counters are.
        assert_eq!(counts, *kind == Kind::Counter || *name == "process_cpu_seconds_total", "{name}");
        assert!(!labels.contains(&"le"), "{name}");
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (service, metrics) in all() {
        // Writing into memory does not fail.
        let _ = write!(page, "\n## {}\n\n{TABLE}", title(service));
        for metric in metrics {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let cloudwatch = names(metric.name).join(", ");
            let Metric { name, kind, help, .. } = metric;
            let _ = writeln!(
                page,
                "| `{name}` | {} | {} | {cloudwatch} | {help} |",
                kind.name(),
                labels.join(", ")
            );
        }
    }
    page
}

fn title(service: &str) -> String {
    let (first, rest) = service.split_at(1);
    if service.contains('-') || service == "aggregator" {
        service.to_owned()
    } else {
        first.to_uppercase() + rest
    }
}

fn names(metric: &str) -> Vec<String> {
    let views = ingest_api::metrics::VIEWS.iter().filter(|view| view.metric == metric);
    let mut names: Vec<_> = views.map(|view| format!("`{}`", view.name)).collect();
    if names.is_empty() {
        names.push(format!("`{}`", service::metrics::cloudwatch_name(metric)));
    }
    names
}

const HEAD: &str = "\
# Metrics

What `/metrics` of each service shows, and what it is called in CloudWatch where `metrics.cloudwatch.enabled` is set. A name
says its unit: `_seconds`, `_bytes`, else a number of what it names. Counters (`_total`) start at zero with their process.

In CloudWatch, everything is in the namespace `metrics.cloudwatch.namespace`, with the dimension `service`, and `writer`
where there is such a label; series that differ in other labels are one metric. Every `metrics.cloudwatch.step` each process
sends, of a counter how much it grew (0 too), so that Sum over processes and time is the total; of a gauge the value of each
series, so that Sum is the total of all threads and processes and Maximum the worst of them; of a histogram the values
themselves, as far as it knows them: SampleCount and Sum are exact, percentiles within a bucket. `http.requests`,
`http.requests.5xx` and `http.request.duration` are those of `/api/…` alone. What CloudWatch does not take waits for an hour
of steps; a request whose answer was lost is sent again, so a point may be there twice.

This page is written by a test of crate `e2e`.
";

const TABLE: &str = "\
| metric | kind | labels | CloudWatch | |
| --- | --- | --- | --- | --- |
";
