//! S3 hangs, and Kafka dies, under load: every event answered 202 is in `raw/` once and counted once.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Load, audit, for_a_while, options};
use stack::{Service, Signal, Stack};

#[tokio::test]
async fn an_s3_that_hangs_and_a_kafka_that_dies_lose_and_double_nothing() -> Result<()> {
    let stack = Stack::start(options("outage")?).await?;
    let load =
        ["--rate", "5000", "--duration", "28s", "--batch", "100", "--disorder", "2s", "--history", "60m"];
    let load = Load::start(&stack, "outage", &load).await?;
    for_a_while(Duration::from_secs(4)).await;

    // Frozen, it holds connections open and answers nothing: worse than one that refuses.
    stack.s3().signal(Signal::Stop)?;
    for_a_while(Duration::from_secs(10)).await;
    stack.s3().signal(Signal::Cont)?;
    for_a_while(Duration::from_secs(4)).await;

    stack.kafka().kill_9().await?;
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
