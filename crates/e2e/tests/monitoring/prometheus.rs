//! Prometheus with our alerting rules over a running stack, where a minute lasts a second.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::eventually;
use serde_json::Value;
use stack::{Service, Stack};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

const RULES: &str = include_str!("../../../../deploy/monitoring/rules/pageviews.yml");
/// What is said in seconds, and has to be shorter too: in the rules, here, and how often.
const SHORTER: [(&str, &str, usize); 3] =
    [(", 3600)", ", 60)", 2), ("[5m])) > 60", "[5m])) > 2", 1), (" > 300", " > 8", 2)];
const WITHIN: Duration = Duration::from_secs(60);

/// It ends when this is dropped.
pub(crate) struct Prometheus {
    url: String,
    _process: Child,
}

impl Prometheus {
    /// Watches the first replica of each service.
    pub(crate) async fn start(stack: &Stack) -> Result<Self> {
        let folder = stack.logs_dir();
        fs::write(folder.join("rules.yml"), shortened(RULES)?)?;
        fs::write(folder.join("prometheus.yml"), config(stack))?;
        let port = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port();
        let log = fs::File::create(folder.join("prometheus.log"))?;
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context(
                "Prometheus, which this test needs, does not start (Debian: apt-get install prometheus)",
            )?;
        let this = Self { url: format!("http://127.0.0.1:{port}"), _process: process };
        eventually("Prometheus reaches every service", WITHIN, async || {
            let up = this.ask("query?query=sum(up)").await?;
            let up = up["result"][0]["value"][1].as_str().unwrap_or_default();
            ensure!(up == Service::ALL.len().to_string(), "{up:?} are up");
            Ok(Some(()))
        })
        .await?;
        Ok(this)
    }

    /// What fires now: the alert's name, and the service.
    pub(crate) async fn firing(&self) -> Result<BTreeSet<String>> {
        let answer = self.ask("alerts").await?;
        let alerts = answer["alerts"].as_array().context("no list of alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing").map(|alert| {
            let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default();
            format!("{} {}", label("alertname"), label("service"))
        });
        Ok(firing.collect())
    }

    /// Names of rules that are not among `fired`.
    pub(crate) fn missing(fired: &BTreeSet<String>) -> BTreeSet<&'static str> {
        let names = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
        names.filter(|name| !fired.iter().any(|fired| fired.split(' ').next() == Some(*name))).collect()
    }

    async fn ask(&self, question: &str) -> Result<Value> {
        let url = format!("{}/api/v1/{question}", self.url);
        let mut answer: Value = reqwest::get(url).await?.error_for_status()?.json().await?;
        Ok(answer["data"].take())
    }
}

/// `rules`, with seconds where they have minutes.
fn shortened(rules: &str) -> Result<String> {
    let mut rules = rules.to_owned();
    for (long, short, times) in SHORTER {
        let found = rules.matches(long).count();
        ensure!(found == times, "{long:?} stands {found} times in the rules, and not {times} times");
        rules = rules.replace(long, short);
    }
    // `for: 5m` and `[5m]`.
    let minutes = rules.split_inclusive('m').map(|part| {
        let start = part.trim_end_matches('m').trim_end_matches(|c: char| c.is_ascii_digit());
        let is_time = start.ends_with('[') || start.ends_with("for: ");
        if is_time { format!("{}s", &part[..part.len() - 1]) } else { part.to_owned() }
    });
    Ok(minutes.collect())
}

fn config(stack: &Stack) -> String {
    let jobs = Service::ALL.map(|service| {
        let target = stack.management_url(service, 1).replace("http://", "");
        format!("  - job_name: {service}\n    static_configs: [{{targets: ['{target}']}}]\n")
    });
    let rules = Path::new("rules.yml").display();
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\nrule_files: [{rules}]\n\
         scrape_configs:\n{}",
        jobs.concat()
    )
}

#[test]
fn a_minute_becomes_a_second() -> Result<()> {
    let short = shortened(RULES)?;
    assert!(short.contains("[5s]") && short.contains("for: 10s") && !short.contains("[5m]"), "{short}");
    assert_eq!(short.matches("sum").count(), RULES.matches("sum").count());
    assert!(!short.lines().any(|line| line.trim().starts_with("for:") && line.ends_with('m')), "{short}");
    Ok(())
}
