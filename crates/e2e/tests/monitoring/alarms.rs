//! CloudWatch's alarms of `terraform/modules/monitoring`, over what the services have put, where a minute lasts a second or
//! two: the emulator evaluates neither dimensions nor metric math.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html>

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use stack::Stack;

use crate::expression::evaluate;
use crate::series::{Series, Source};

/// Thresholds that take too long to reach, or too much load; by how an alarm's name goes on after `pageviews-`.
const LOWER: [(&str, f64); 2] = [("consumer-lag-", 5_000.0), ("oldest-unflushed-", 8.0)];
/// Those of one writer each are the same rule: one of them has to fire.
const WRITERS: [&str; 4] = ["-raw", "-aggregates", "-late", "-dead_letters"];

/// All alarms.
pub(crate) struct Alarms(Vec<Alarm>);

struct Alarm {
    name: String,
    /// In seconds, as it is looked at here.
    period: i64,
    /// In so many periods in a row.
    periods: usize,
    threshold: f64,
    is_below: bool,
    missing: Missing,
    value: Formula,
    /// The metrics of `value`, by their ids.
    metrics: BTreeMap<String, Source>,
}

/// `treat_missing_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Breaching,
    NotBreaching,
    /// Is what it was before.
    Ignore,
}

enum Formula {
    Metric(String),
    Math(String),
}

impl Alarms {
    /// As terraform plans them.
    pub(crate) async fn planned(stack: &Stack) -> Result<Self> {
        let file = stack.home().join("monitoring.plan").display().to_string();
        let terraform = async |arguments: &[&str]| -> Result<Vec<u8>> {
            let output = stack.terraform(arguments).await?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(output.stdout)
        };
        terraform(&["plan", "-input=false", "-var=monitoring=true", &format!("-out={file}")]).await?;
        let plan: Value = serde_json::from_slice(&terraform(&["show", "-json", &file]).await?)?;
        let modules =
            plan["planned_values"]["root_module"]["child_modules"].as_array().context("no modules")?;
        let resources = modules.iter().filter_map(|module| module["resources"].as_array()).flatten();
        let alarms = resources.filter(|resource| resource["type"] == "aws_cloudwatch_metric_alarm");
        Ok(Self(alarms.map(|alarm| Alarm::planned(&alarm["values"])).collect::<Result<_>>()?))
    }

    /// Names without `pageviews-` of those that are in alarm at some time in `[since, until)`.
    pub(crate) async fn fired(
        &self,
        stack: &Stack,
        since: i64,
        until: i64,
        of: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<String>> {
        let mut fired = BTreeSet::new();
        for alarm in self.0.iter().filter(|alarm| of(&alarm.name)) {
            if alarm.fired(stack, since, until).await? {
                fired.insert(alarm.name.clone());
            }
        }
        Ok(fired)
    }

    /// Rules none of whose alarms is among `fired`.
    pub(crate) fn missing(&self, fired: &BTreeSet<String>) -> BTreeSet<String> {
        let fired: BTreeSet<_> = fired.iter().map(|name| rule(name)).collect();
        let rules = self.0.iter().map(|alarm| rule(&alarm.name));
        rules.filter(|rule| !fired.contains(rule)).map(str::to_owned).collect()
    }
}

/// An alarm's name without its writer.
fn rule(name: &str) -> &str {
    WRITERS.iter().find_map(|writer| name.strip_suffix(writer)).unwrap_or(name)
}

impl Alarm {
    fn planned(values: &Value) -> Result<Self> {
        let text = |name: &str| values[name].as_str().with_context(|| format!("no {name} in {values}"));
        let number = |name: &str| values[name].as_f64().with_context(|| format!("no {name} in {values}"));
        let name = text("alarm_name")?.strip_prefix("pageviews-").context("another prefix")?.to_owned();
        let lower =
            LOWER.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, threshold)| *threshold);
        let mut metrics = BTreeMap::new();
        let queries = values["metric_query"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (value, period) = if queries.is_empty() {
            metrics.insert(name.clone(), Source::planned(values, text("statistic")?)?);
            (Formula::Metric(name.clone()), number("period")?)
        } else {
            let mut formula = None;
            let mut period = 0.0;
            for query in queries {
                let id = query["id"].as_str().context("a query without id")?.to_owned();
                match query["metric"].get(0) {
                    Some(metric) => {
                        period = metric["period"].as_f64().context("no period")?;
                        metrics.insert(
                            id,
                            Source::planned(metric, metric["stat"].as_str().unwrap_or_default())?,
                        );
                    }
                    None => formula = query["expression"].as_str().map(str::to_owned),
                }
            }
            (Formula::Math(formula.context("no expression")?), period)
        };
        Ok(Self {
            period: (period as i64 / 60).max(2),
            periods: number("evaluation_periods")? as usize,
            threshold: match lower {
                Some(lower) => lower,
                None => number("threshold")?,
            },
            is_below: match text("comparison_operator")? {
                "GreaterThanThreshold" => false,
                "LessThanThreshold" => true,
                other => anyhow::bail!("{name} compares by {other}, which this test does not know"),
            },
            missing: match text("treat_missing_data")? {
                "breaching" => Missing::Breaching,
                "notBreaching" => Missing::NotBreaching,
                "ignore" => Missing::Ignore,
                other => {
                    anyhow::bail!("{name} takes what is missing for {other}, which this test does not know")
                }
            },
            name,
            value,
            metrics,
        })
    }

    /// Whether so many periods in a row breach, in `[since, until)`.
    async fn fired(&self, stack: &Stack, since: i64, until: i64) -> Result<bool> {
        let mut series = BTreeMap::new();
        for (id, source) in &self.metrics {
            series.insert(id.as_str(), Series::of(stack, source, self.period, since, until).await?);
        }
        let (mut in_a_row, mut breaches) = (0, false);
        // What a period has is there some seconds after its end.
        for period in since / self.period..until / self.period - 1 {
            let at = |id: &str| {
                series
                    .get(id)
                    .with_context(|| format!("{} asks for {id}", self.name))
                    .map(|series| series.at(period))
            };
            let value = match &self.value {
                Formula::Metric(id) => at(id)?,
                Formula::Math(expression) => evaluate(expression, at)?,
            };
            breaches = match (value, self.missing) {
                (Some(value), _) => {
                    if self.is_below {
                        value < self.threshold
                    } else {
                        value > self.threshold
                    }
                }
                (None, Missing::Breaching) => true,
                (None, Missing::NotBreaching) => false,
                (None, Missing::Ignore) => breaches,
            };
            in_a_row = if breaches { in_a_row + 1 } else { 0 };
            if in_a_row >= self.periods {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
