//! S3 hangs, Kafka dies, one of three brokers dies, under load: every event answered 202 is in `raw/` once and counted once.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    Load, README_EVENT, audit, conclude, eventually, for_a_while, kill_only_broker, metric, options, post,
    seed,
};
use stack::{Service, Stack};

#[tokio::test]
async fn an_s3_that_hangs_and_a_kafka_that_dies_lose_and_double_nothing() -> Result<()> {
    let stack = Stack::start(options("outage")?).await?;
    let load =
        ["--rate", "5000", "--duration", "28s", "--batch", "100", "--disorder", "2s", "--history", "60m"];
    let load = Load::start(&stack, "outage", &load).await?;
    for_a_while(Duration::from_secs(4)).await;

    // Frozen, it holds connections open and answers nothing: worse than one that refuses.
    stack.s3().freeze().await?;
    for_a_while(Duration::from_secs(10)).await;
    stack.s3().thaw()?;
    for_a_while(Duration::from_secs(4)).await;

    kill_only_broker(&stack).await?;
    stack.kafka().ready().await?;

    let report = load.end().await?;
    println!("{}", report.text);
    ensure!(stack.kafka().crashes() == 1, "Kafka was not killed once");
    stack.wait_ready().await?;
    println!("{}", audit(&stack, report.receipts()).await?);
    // What is away is waited for: nobody has to be started again.
    for service in Service::ALL {
        ensure!(stack.replica(service, 1)?.crashes() == 0, "{service} crashed in the outage");
    }
    stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn one_of_three_brokers_that_dies_costs_seconds_and_no_event() -> Result<()> {
    let stack = Stack::start(options("brokers")?.brokers(3)).await?;
    let load = ["--rate", "4000", "--duration", "180s", "--batch", "100", "--history", "60m"];
    let load = Load::start(&stack, "brokers", &load).await?;
    let accepted = async || metric(&stack, Service::IngestApi, 1, "pageviews_produced_total").await;
    eventually("load is accepted", Duration::from_secs(30), async || {
        Ok((accepted().await? > 10_000).then_some(()))
    })
    .await?;

    let broker = &stack.brokers()[usize::from(seed()?.to_le_bytes()[0]) % 3];
    broker.set_restarts(false);
    broker.kill_9().await?;
    // Each partition has another leader within seconds: from then on nothing is refused, though the broker stays away.
    eventually("a hundred requests in a row are accepted", Duration::from_secs(45), async || {
        for _ in 0..100 {
            let answer = post(&stack, "/api/pageviews", README_EVENT).await?;
            if answer.status != 202 {
                ensure!(answer.status == 503, "{answer:?}");
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    let since = accepted().await?;
    eventually("load is accepted without it", Duration::from_secs(30), async || {
        Ok((accepted().await? > since + 20_000).then_some(()))
    })
    .await?;

    broker.start().await;
    broker.ready().await?;
    conclude(&stack, load).await?;
    for service in Service::ALL {
        ensure!(stack.replica(service, 1)?.crashes() == 0, "{service} crashed in the outage");
    }
    stack.stop().await?;
    Ok(())
}
