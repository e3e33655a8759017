//! Rebalances under load, with the broker's own assignment (KIP-848): every event answered 202 is in `raw/` once and
//! counted once. Those of the classic protocol are in `kill.rs`.

use std::time::Duration;

use anyhow::Result;
use e2e::{Load, conclude, for_a_while, options};
use stack::{Service, Stack};

#[tokio::test]
async fn aggregator_and_sink_go_from_one_to_three_and_back() -> Result<()> {
    let options = options("scale")?.env("PAGEVIEW_KAFKA__GROUP_PROTOCOL", "consumer");
    let mut stack = Stack::start(options).await?;
    // Until it is told to stop.
    let load = ["--rate", "20000", "--duration", "200s", "--batch", "200"];
    let events = ["--history", "40m", "--disorder", "5s", "--late", "2"];
    let load = Load::start(&stack, "scale", &[&load[..], &events].concat()).await?;
    for replicas in [3, 1] {
        for service in [Service::Aggregator, Service::S3Sink] {
            for_a_while(Duration::from_secs(4)).await;
            stack.scale(service, replicas).await?;
        }
    }
    conclude(&stack, load).await?;
    stack.stop().await?;
    Ok(())
}
