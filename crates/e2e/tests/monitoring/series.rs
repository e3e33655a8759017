//! What CloudWatch, or the emulator of it, has of a metric: GetMetricStatistics.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use stack::Stack;

/// A statistic of a metric.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: BTreeMap<String, String>,
    pub(crate) statistic: String,
}

/// Its values by period: the number of periods since the epoch.
#[derive(Debug)]
pub(crate) struct Series(BTreeMap<i64, f64>);

impl Source {
    /// As a plan of terraform has it.
    pub(crate) fn planned(metric: &Value, statistic: &str) -> Result<Self> {
        let text = |name: &str| metric[name].as_str().with_context(|| format!("no {name} in {metric}"));
        Ok(Self {
            namespace: text("namespace")?.to_owned(),
            name: text("metric_name")?.to_owned(),
            dimensions: serde_json::from_value(metric["dimensions"].clone())?,
            statistic: statistic.to_owned(),
        })
    }
}

impl Series {
    /// Of the seconds `[since, until)`, in periods of so many.
    pub(crate) async fn of(
        stack: &Stack,
        source: &Source,
        period: i64,
        since: i64,
        until: i64,
    ) -> Result<Self> {
        let Source { namespace, name, dimensions, statistic } = source;
        let dimensions: Vec<_> =
            dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
        let question = json!({
            "Namespace": namespace, "MetricName": name, "Dimensions": dimensions, "Period": period,
            "StartTime": since, "EndTime": until, "Statistics": [statistic],
        });
        let answer: Value = reqwest::Client::new()
            .post(stack.s3_endpoint())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "GraniteServiceVersion20100801.GetMetricStatistics")
            // Any signature will do, but the region that is signed for is the one that is asked.
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-2/monitoring/aws4_request",
            )
            .body(question.to_string())
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        let points = answer["Datapoints"].as_array().context("no data points")?;
        let point =
            |point: &Value| Some((point["Timestamp"].as_f64()? as i64 / period, point[statistic].as_f64()?));
        Ok(Self(points.iter().filter_map(point).collect()))
    }

    /// The value of a period.
    pub(crate) fn at(&self, period: i64) -> Option<f64> {
        self.0.get(&period).copied()
    }

    /// All periods together.
    pub(crate) fn sum(&self) -> f64 {
        self.0.values().sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
