//! SIGTERM of ingest-api under load: every request is answered, and with 202; and what was answered 202 is in Kafka.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Load, audit, for_a_while, options};
use stack::{Service, Stack};

#[tokio::test]
async fn sigterm_of_an_ingest_api_under_load_fails_no_request_and_loses_nothing() -> Result<()> {
    let stack = Stack::start(options("graceful")?.replicas(Service::IngestApi, 2)).await?;
    let load =
        Load::start(&stack, "graceful", &["--rate", "10000", "--duration", "20s", "--batch", "50"]).await?;
    for number in [1, 2, 1] {
        for_a_while(Duration::from_secs(3)).await;
        let replica = stack.replica(Service::IngestApi, number)?;
        ensure!(replica.stop().await, "ingest-api {number} did not stop by itself");
        replica.start().await;
        replica.ready().await?;
    }
    let report = load.end().await?;
    println!("{}", report.text);
    let audit = audit(&stack, report.receipts()).await?;
    println!("{audit}");
    // No 5xx, no connection that was reset, no request without an answer.
    ensure!(
        report.outcomes.keys().eq(["accepted 202"]),
        "not every request was accepted: {:?}",
        report.outcomes
    );
    stack.stop().await?;
    Ok(())
}
