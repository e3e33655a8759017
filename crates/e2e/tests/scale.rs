//! Rebalances under load: every event answered 202 is in `raw/` once and counted once.

use std::time::Duration;

use anyhow::Result;
use e2e::{Load, audit, for_a_while, options};
use stack::{Service, Stack};

#[tokio::test]
async fn aggregator_and_sink_go_from_one_to_three_and_back() -> Result<()> {
    let mut stack = Stack::start(options("scale")?).await?;
    let load = Load::start(
        &stack,
        "scale",
        &["--rate", "20000", "--duration", "40s", "--batch", "200", "--disorder", "5s", "--late", "2"],
    )
    .await?;
    for replicas in [3, 1] {
        for service in [Service::Aggregator, Service::S3Sink] {
            for_a_while(Duration::from_secs(4)).await;
            stack.scale(service, replicas).await?;
        }
    }
    let report = load.end().await?;
    println!("{}", report.text);
    println!("{}", audit(&stack, report.receipts()).await?);
    stack.stop().await?;
    Ok(())
}
