//! Kafka is frozen under load: it holds connections open and answers nothing, which is worse than one that is gone.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Load, README_EVENT, conclude, eventually, metric, options, peak_memory, post};
use stack::{Service, Stack};

/// Less than a second of the load.
const IN_FLIGHT: &str = "16MiB";
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than Kafka stands still. A broker that is taken for dead meanwhile leaves its partitions without a leader for a moment
/// after it goes on, in which Kafka 4.3.1 forgets to complete transactions: `e2e::kill_only_broker` has more.
const SESSION: Duration = Duration::from_secs(120);
/// The bound.
const MEMORY: u64 = 256 << 20;

#[tokio::test]
async fn a_frozen_kafka_is_told_at_once_costs_no_memory_and_loses_nothing() -> Result<()> {
    let options = options("frozen")?
        .broker_session(SESSION)
        .env("PAGEVIEW_INGEST__MAX_IN_FLIGHT_BYTES", IN_FLIGHT)
        .env("PAGEVIEW_INGEST__DELIVERY_TIMEOUT", "2s");
    let stack = Stack::start(options).await?;
    let load = ["--rate", "40000", "--duration", "120s", "--batch", "4000", "--history", "20m"];
    let load = Load::start(&stack, "frozen", &load).await?;
    accepts(&stack, 0).await?;

    freeze(&stack).await?;
    // What Kafka acknowledged before it froze is answered by now: since then there is no 202.
    let before = accepted(&stack).await?;
    for _ in 0..20 {
        let answer = tokio::time::timeout(
            DELIVERY_TIMEOUT / 2,
            post(&stack, "/api/pageviews/batch", what_does_not_fit()),
        );
        ensure!(answer.await??.status == 503, "accepted while Kafka is frozen");
    }
    ensure!(accepted(&stack).await? == before, "events were answered 202 while Kafka was frozen");
    let memory = peak_memory(&stack, Service::IngestApi, 1)?;
    println!("peak memory of ingest-api: {} MiB", memory >> 20);
    ensure!(memory < MEMORY, "ingest-api took {memory} bytes");
    stack.kafka().thaw()?;
    accepts(&stack, before).await?;
    ensure!(stack.replica(Service::IngestApi, 1)?.crashes() == 0, "ingest-api crashed");

    // All that is on its way is lost now, and none of it was answered 202.
    freeze(&stack).await?;
    stack.kill_9(Service::IngestApi, 1).await?;
    stack.kafka().thaw()?;
    stack.wait_ready().await?;
    accepts(&stack, 0).await?;
    conclude(&stack, load).await?;
    stack.stop().await?;
    Ok(())
}

async fn accepted(stack: &Stack) -> Result<u64> {
    metric(stack, Service::IngestApi, 1, "pageviews_produced_total").await
}

/// Waits until more than `before` have been accepted.
async fn accepts(stack: &Stack, before: u64) -> Result<()> {
    eventually("load is accepted", Duration::from_secs(30), async || {
        Ok((accepted(stack).await? > before + 40_000).then_some(()))
    })
    .await
}

/// Freezes Kafka, and waits until there is no room for more.
async fn freeze(stack: &Stack) -> Result<()> {
    stack.kafka().freeze().await?;
    let answer = post(stack, "/api/pageviews", README_EVENT).await?;
    ensure!(answer.status == 503, "accepted while Kafka is frozen: {answer:?}");
    eventually("the budget is full", Duration::from_secs(20), async || {
        let answer = post(stack, "/api/pageviews/batch", what_does_not_fit()).await?;
        ensure!(answer.status == 503 && answer.content_type == "application/problem+json", "{answer:?}");
        Ok(answer.json.to_string().contains("on its way to Kafka already").then_some(()))
    })
    .await
}

/// Beside what is in flight; a single event might.
fn what_does_not_fit() -> String {
    format!("[{}]", vec![README_EVENT; 10_000].join(","))
}
