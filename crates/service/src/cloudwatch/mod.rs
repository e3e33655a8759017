//! Sends the metrics of the process to CloudWatch, a data point a step. Off unless `metrics.cloudwatch.enabled`.
//!
//! CloudWatch never hurts the pipeline: it is talked to by one task of its own, with timeouts; what it does not take waits,
//! with its time, up to a bound. A request whose answer was lost is sent again, so a data point may be there twice.

mod export;
mod spread;

use std::collections::VecDeque;
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::error::DisplayErrorContext;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use metrics::counter;
use model::EpochSeconds;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::config::Config;
use crate::management::Management;
use crate::metrics::CLOUDWATCH_DATA;
use crate::{aws, clock};
use export::{Datum, Export, Unit};

/// How long one request may take, and the last one of a process that stops.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A request holds at most 1,000 metrics and 1 MB (PutMetricData in the CloudWatch API reference); 150 values of each are
/// 2.4 KB.
const DATA_A_REQUEST: usize = 250;
/// Steps that wait while CloudWatch is away; past them the oldest are dropped.
const MOST_WAITING: usize = 60;

/// What CloudWatch shows instead of a whole metric: the part of it with these labels.
#[derive(Debug)]
pub struct View {
    /// The name in CloudWatch.
    pub name: &'static str,
    /// The metric, as in `/metrics`.
    pub metric: &'static str,
    /// Labels, and what their values must begin with.
    pub only: &'static [(&'static str, &'static str)],
}

/// The task that exports. Dropping it ends it at once.
#[derive(Debug)]
pub(crate) struct CloudWatch {
    stop: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
}

impl CloudWatch {
    /// Starts, where it is enabled.
    pub(crate) async fn start(
        config: &Config,
        service: &'static str,
        views: &'static [View],
        management: Management,
    ) -> Self {
        if !config.cloudwatch.enabled {
            return Self { stop: None };
        }
        let endpoint = config.cloudwatch.endpoint_override.as_ref().or(config.aws.endpoint_override.as_ref());
        let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
        let mut client = aws_sdk_cloudwatch::config::Builder::from(&aws::shared(&config.aws).await)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(endpoint) = endpoint {
            client = client.endpoint_url(endpoint);
        }
        let namespace = config.cloudwatch.namespace.clone();
        tracing::info!(namespace, step = ?config.cloudwatch.step, endpoint, "metrics go to CloudWatch");
        let exporter = Exporter {
            client: Client::from_conf(client.build()),
            namespace,
            service,
            management,
            export: Export::new(views),
            waiting: VecDeque::new(),
            is_away: false,
        };
        let (stop, stopped) = oneshot::channel();
        Self { stop: Some((stop, tokio::spawn(exporter.run(config.cloudwatch.step, stopped)))) }
    }

    /// Sends what has come since the last step, and ends.
    pub(crate) async fn stop(self) {
        let Some((stop, task)) = self.stop else { return };
        if stop.send(()).is_ok() {
            // What is late now is lost with the process.
            let _ = tokio::time::timeout(TIMEOUT, task).await;
        }
    }
}

struct Exporter {
    client: Client,
    namespace: String,
    service: &'static str,
    management: Management,
    export: Export,
    /// Requests that CloudWatch has not taken yet, the oldest first.
    waiting: VecDeque<(EpochSeconds, Vec<Datum>)>,
    is_away: bool,
}

impl Exporter {
    async fn run(mut self, step: Duration, mut stopped: oneshot::Receiver<()>) {
        let mut steps = tokio::time::interval(step);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        steps.tick().await;
        loop {
            let last = tokio::select! {
                _ = steps.tick() => false,
                _ = &mut stopped => true,
            };
            self.gather();
            self.send().await;
            if last {
                return;
            }
        }
    }

    fn gather(&mut self) {
        let now = clock::now().to_seconds();
        let data = self.export.step(&self.management.metrics());
        self.waiting.extend(data.chunks(DATA_A_REQUEST).map(|data| (now, data.to_vec())));
        while self.waiting.len() > MOST_WAITING {
            let (_, dropped) = self.waiting.pop_front().unwrap_or((now, Vec::new()));
            counter!(CLOUDWATCH_DATA.name, "outcome" => "dropped").increment(dropped.len() as u64);
        }
    }

    /// Sends what waits, until CloudWatch fails; what is left waits for the next step.
    async fn send(&mut self) {
        while let Some((time, data)) = self.waiting.front() {
            let put = self.client.put_metric_data().namespace(&self.namespace);
            let data: Vec<_> = data.iter().map(|datum| self.datum(*time, datum)).collect();
            let count = data.len();
            if let Err(error) = put.set_metric_data(Some(data)).send().await {
                if !std::mem::replace(&mut self.is_away, true) {
                    let error = DisplayErrorContext(error).to_string();
                    tracing::warn!(error, "CloudWatch does not take metrics: they wait, nothing else does");
                }
                return;
            }
            self.waiting.pop_front();
            counter!(CLOUDWATCH_DATA.name, "outcome" => "sent").increment(count as u64);
            if std::mem::replace(&mut self.is_away, false) {
                tracing::info!("CloudWatch takes metrics again");
            }
        }
    }

    fn datum(&self, time: EpochSeconds, datum: &Datum) -> MetricDatum {
        let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
        let mut dimensions = vec![dimension("service", self.service)];
        dimensions.extend(datum.writer.as_deref().map(|writer| dimension("writer", writer)));
        let (values, counts) = datum.values.iter().copied().unzip();
        MetricDatum::builder()
            .metric_name(&datum.name)
            .timestamp(DateTime::from_secs(time.0))
            .unit(match datum.unit {
                Unit::Count => StandardUnit::Count,
                Unit::Seconds => StandardUnit::Seconds,
                Unit::Bytes => StandardUnit::Bytes,
            })
            .set_dimensions(Some(dimensions))
            .set_values(Some(values))
            .set_counts(Some(counts))
            .build()
    }
}
