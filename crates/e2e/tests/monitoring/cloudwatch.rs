//! CloudWatch has what `/metrics` shows, and what it does not take hurts nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{Load, Proxy, audit, eventually, options};
use service::clock;
use service::metrics::text::{self, Sample};
use service::metrics::{Kind, Metric, cloudwatch_name};
use stack::{Service, Stack};

use crate::reference;
use crate::series::{Series, Source};

const NAMESPACE: &str = "PageviewPipeline";
const PREFIX: &str = "PAGEVIEW_METRICS__CLOUDWATCH__";
const WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn cloudwatch_gets_what_metrics_shows_also_after_it_was_away() -> Result<()> {
    let mut options = options("cloudwatch")?;
    options.replicas.clear();
    let mut stack = Stack::start(options).await?;
    let proxy = Proxy::beside(&stack, 1).await?;
    proxy.set_away(true);
    for service in Service::ALL {
        for (key, value) in [("ENABLED", "true"), ("STEP", "2s"), ("ENDPOINT_OVERRIDE", proxy.url())] {
            stack.set_env(service, &format!("{PREFIX}{key}"), value);
        }
        stack.scale(service, 1).await?;
    }

    let load = ["--rate", "2000", "--duration", "5s", "--batch", "50", "--history", "20m", "--late", "5"];
    let report = Load::start(&stack, "cloudwatch", &load).await?.end().await?;
    audit(&stack, report.receipts()).await?;
    stack.wait_ready().await?;
    for service in Service::ALL {
        let shown = Shown::by(&stack, service).await?;
        shown.is_documented(service)?;
        ensure!(shown.sum("cloudwatch_data_total", |_| true) == 0.0, "something was sent");
    }

    proxy.set_away(false);
    for service in Service::ALL {
        eventually("CloudWatch has what /metrics shows", WITHIN, async || {
            Ok(Some(Shown::by(&stack, service).await?.is_in_cloudwatch(&stack, service).await?))
        })
        .await?;
    }
    // As the Java system called them.
    let raw = Some("raw");
    for (name, service, writer) in [
        ("pageviews.produced", Service::IngestApi, None),
        ("s3.writes", Service::S3Sink, raw),
        ("s3.write.duration", Service::S3Sink, raw),
    ] {
        ensure!(statistic(&stack, name, service, writer, "Sum").await?.sum() > 0.0, "{name}");
    }
    let errors = statistic(&stack, "s3.errors", Service::S3Sink, raw, "Sum").await?;
    ensure!(errors.sum() == 0.0 && !errors.is_empty(), "no error is sent as zero");
    stack.stop().await?;
    Ok(())
}

/// What `/metrics` of a process shows.
struct Shown(String);

impl Shown {
    async fn by(stack: &Stack, service: Service) -> Result<Self> {
        let url = format!("{}/metrics", stack.management_url(service, 1));
        Ok(Self(reqwest::get(url).await?.error_for_status()?.text().await?))
    }

    fn sum(&self, name: &str, of: impl Fn(&Sample<'_>) -> bool) -> f64 {
        text::samples(&self.0)
            .filter(|sample| sample.name == name && of(sample))
            .map(|sample| sample.value)
            .sum()
    }

    /// Everything that is shown is in the reference, with these labels and no others.
    fn is_documented(&self, service: Service) -> Result<()> {
        let known: BTreeMap<_, _> = metrics(service).map(|metric| (metric.name, metric.labels)).collect();
        for sample in text::samples(&self.0) {
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|part| sample.name.strip_suffix(part));
            let labels = stem.and_then(|stem| known.get(stem)).or_else(|| known.get(sample.name));
            let labels =
                labels.with_context(|| format!("{service} shows {}, and no list has it", sample.series))?;
            let shown = sample.labels.iter().map(|(name, _)| *name).filter(|name| *name != "le");
            ensure!(shown.eq(labels.iter().copied()), "{service} shows {}: {labels:?}", sample.series);
        }
        Ok(())
    }

    /// Every counter and histogram, now that nothing comes any more.
    async fn is_in_cloudwatch(&self, stack: &Stack, service: Service) -> Result<()> {
        for metric in metrics(service).filter(|metric| !is_moving(metric)) {
            let writers: Vec<Option<&str>> = match metric.labels.contains(&"writer") {
                true => vec![Some("raw"), Some("aggregates"), Some("late"), Some("dead_letters")],
                false => vec![None],
            };
            for writer in writers {
                let has = async |sort| {
                    let series =
                        statistic(stack, &cloudwatch_name(metric.name), service, writer, sort).await?;
                    anyhow::Ok(series.sum())
                };
                let sum = |name: &str| self.sum(name, |sample| sample.label("writer") == writer);
                let (shown, got) = match metric.kind {
                    Kind::Counter => (sum(metric.name), has("Sum").await?),
                    Kind::Gauge => continue,
                    Kind::Histogram => {
                        let (count, got) =
                            (sum(&format!("{}_count", metric.name)), has("SampleCount").await?);
                        ensure!(count == got, "{} came {got} times, shown {count}", metric.name);
                        (sum(&format!("{}_sum", metric.name)), has("Sum").await?)
                    }
                };
                let name = metric.name;
                ensure!((shown - got).abs() <= 1e-6 * shown.abs(), "{name} {writer:?}: {shown}, got {got}");
            }
        }
        Ok(())
    }
}

/// Those of a service, and those of every process.
fn metrics(service: Service) -> impl Iterator<Item = &'static Metric> {
    let of = move |(name, metrics): (&str, &'static [Metric])| {
        let has = name == service.name() || name == "every service";
        has.then_some(metrics).into_iter().flatten()
    };
    reference::all().into_iter().flat_map(of)
}

/// What grows while it is looked at, or is shown in part only.
fn is_moving(metric: &Metric) -> bool {
    metric.name.starts_with("http_request") || metric.name == "cloudwatch_data_total"
}

/// What CloudWatch has of a metric, over the last day.
async fn statistic(
    stack: &Stack,
    name: &str,
    service: Service,
    writer: Option<&str>,
    statistic: &str,
) -> Result<Series> {
    let dimensions = [("service", Some(service.name())), ("writer", writer)];
    let dimensions =
        dimensions.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    let source = Source {
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions.collect(),
        statistic: statistic.to_owned(),
    };
    let now = clock::now().to_seconds().0;
    Series::of(stack, &source, 60, now - 86_400, now + 60).await
}
