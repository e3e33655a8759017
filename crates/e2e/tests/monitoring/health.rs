//! Health knows of what nobody has asked for in a while, says numbers that are so, and lets no outage cost a process its life.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{README_EVENT, eventually, options, post, trouble};
use serde_json::Value;
use stack::{Service, Stack};

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_idle_sink_learns_that_s3_is_away_and_back_and_nobody_is_restarted_for_it() -> Result<()> {
    let stack = Stack::start(options("health")?).await?;
    let answer = post(&stack, "/api/pageviews", README_EVENT).await?;
    ensure!(answer.status == 202, "{answer:?}");
    eventually("the aggregator has all partitions and nothing left to read", WITHIN, async || {
        let details = &health(&stack, Service::Aggregator).await?["aggregation"]["details"];
        let is = |name: &str, number: u64| details[name] == number;
        ensure!(
            is("assignedPartitions", 6) && is("lag", 0) && details["secondsSinceFlush"].is_u64(),
            "{details}"
        );
        Ok(Some(()))
    })
    .await?;
    eventually("everything is written", WITHIN, async || {
        let components = health(&stack, Service::S3Sink).await?;
        ensure!(components["partitions"]["details"]["lag"] == 0, "{components}");
        Ok(Some(()))
    })
    .await?;

    stack.s3().stop().await;
    eventually("the sink says so, with nothing to write", WITHIN, async || {
        Ok(trouble(&stack, Service::S3Sink, 1, "s3").await?.filter(|words| words.contains("pageview-data")))
    })
    .await?;
    for service in Service::ALL {
        let url = format!("{}/actuator/health/liveness", stack.management_url(service, 1));
        ensure!(reqwest::get(url).await?.status() == 200, "{service} is to be restarted, since S3 is away");
    }
    stack.s3().start().await;
    stack.wait_ready().await?;
    stack.stop().await?;
    Ok(())
}

async fn health(stack: &Stack, service: Service) -> Result<Value> {
    let url = format!("{}/actuator/health", stack.management_url(service, 1));
    let mut health: Value = reqwest::get(url).await?.json().await?;
    Ok(health["components"].take())
}
