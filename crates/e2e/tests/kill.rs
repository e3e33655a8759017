//! `kill -9` under load: every event answered 202 is in `raw/` once and counted once.

use std::time::Duration;

use anyhow::Result;
use e2e::{Load, audit, for_a_while, options};
use rand::RngExt as _;
use stack::{Service, Stack};

#[tokio::test]
async fn kill_9_of_aggregator_and_sink_loses_and_doubles_nothing() -> Result<()> {
    let options = options("kill")?.replicas(Service::Aggregator, 2).replicas(Service::S3Sink, 2);
    let stack = Stack::start(options).await?;
    let load = Load::start(
        &stack,
        "kill",
        &["--rate", "20000", "--duration", "40s", "--batch", "200", "--disorder", "5s", "--late", "2"],
    )
    .await?;
    for _ in 0..10 {
        let (pause, number) = (rand::rng().random_range(500..4000), rand::rng().random_range(1..=2));
        for_a_while(Duration::from_millis(pause)).await;
        let service = if rand::rng().random::<bool>() { Service::Aggregator } else { Service::S3Sink };
        println!("after {pause} ms: kill -9 of {service} {number}");
        // One that is still on its way up after the last kill is no failure of this test.
        if let Err(error) = stack.kill_9(service, number).await {
            println!("  {error}");
        }
    }
    let report = load.end().await?;
    println!("{}", report.text);
    stack.wait_ready().await?;
    println!("{}", audit(&stack, report.receipts()).await?);
    stack.stop().await?;
    Ok(())
}
