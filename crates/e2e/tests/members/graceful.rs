//! SIGTERM under load, one replica after the other. Of ingest-api: every request is answered, and with 202; and what was
//! answered 202 is in Kafka. Of aggregators with static membership: no partition moves.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Load, conclude, eventually, for_a_while, metric, options};
use stack::{Process, Service, Stack};

const AGGREGATORS: u16 = 3;
/// For so long an aggregator is away: longer than it takes the others to hear of it (`heartbeat.interval.ms`), and
/// shorter than the group waits for a member (`session.timeout.ms`).
const AWAY: Duration = Duration::from_secs(4);
const PARTITIONS: &str = "aggregator_assigned_partitions";
const RESTORES: &str = "aggregator_restores_total";

#[tokio::test]
async fn a_rolling_restart_under_load_fails_no_request_moves_no_partition_and_loses_nothing() -> Result<()> {
    let options = options("graceful")?.replicas(Service::IngestApi, 2);
    let options = options.replicas(Service::Aggregator, AGGREGATORS);
    let options = options.env("PAGEVIEW_KAFKA__STATIC_MEMBERSHIP", "true");
    let options = options.env("PAGEVIEW_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "30000");
    let stack = Stack::start(options).await?;
    // Until it is told to stop.
    let load = ["--rate", "10000", "--duration", "120s", "--batch", "50", "--history", "24m"];
    let load = Load::start(&stack, "graceful", &load).await?;
    tokio::try_join!(restart_ingest_apis(&stack), restart_aggregators(&stack))?;
    let report = conclude(&stack, load).await?;
    // No 5xx, no connection that was reset, no request without an answer.
    ensure!(
        report.outcomes.keys().eq(["accepted 202"]),
        "not every request was accepted: {:?}",
        report.outcomes
    );
    stack.stop().await?;
    Ok(())
}

async fn restart_ingest_apis(stack: &Stack) -> Result<()> {
    for number in [1, 2, 1] {
        for_a_while(Duration::from_secs(3)).await;
        restart(stack.replica(Service::IngestApi, number)?, Duration::ZERO).await?;
    }
    Ok(())
}

/// While one is away the others count on as if nothing were, and it comes back to the partitions that it had.
async fn restart_aggregators(stack: &Stack) -> Result<()> {
    // Since they started there were rebalances; each has its share by now.
    let share = u64::try_from(model::topic::PARTITIONS)? / u64::from(AGGREGATORS);
    for number in 1..=AGGREGATORS {
        has(stack, number, share).await?;
    }
    for number in 1..=AGGREGATORS {
        let others = (1..=AGGREGATORS).filter(|other| *other != number);
        let before = restores(stack, others.clone()).await?;
        restart(stack.replica(Service::Aggregator, number)?, AWAY).await?;
        has(stack, number, share).await?;
        let after = restores(stack, others).await?;
        ensure!(
            before == after,
            "partitions moved while aggregator {number} was away: {before:?}, {after:?}"
        );
    }
    Ok(())
}

async fn restart(replica: &Process, away: Duration) -> Result<()> {
    ensure!(replica.stop().await, "{} did not stop by itself", replica.name());
    for_a_while(away).await;
    replica.start().await;
    replica.ready().await?;
    Ok(())
}

async fn has(stack: &Stack, number: u16, share: u64) -> Result<()> {
    eventually("an aggregator has its partitions", Duration::from_secs(15), async || {
        let partitions = metric(stack, Service::Aggregator, number, PARTITIONS).await?;
        ensure!(partitions == share, "aggregator {number} has {partitions}");
        Ok(Some(()))
    })
    .await
}

/// How often each of `numbers` has taken over a partition.
async fn restores(stack: &Stack, numbers: impl Iterator<Item = u16>) -> Result<Vec<u64>> {
    let mut restores = Vec::new();
    for number in numbers {
        restores.push(metric(stack, Service::Aggregator, number, RESTORES).await?);
    }
    Ok(restores)
}
