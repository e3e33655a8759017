//! More postcodes and event ids than the aggregator may keep in memory: counts are written early, a minute then has several
//! rows, and over `kill -9` they add up to every event once.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Load, audit, eventually, metric, options};
use serde_json::Value;
use stack::{Service, Stack};

const EARLY: &str = "aggregator_early_flushes_total";
const COUNTED: &str = "pageviews_counted_total";
const AGGREGATORS: u16 = 2;

#[tokio::test]
async fn counts_that_are_written_early_add_up_over_kill_9() -> Result<()> {
    let options = options("valve")?.replicas(Service::Aggregator, AGGREGATORS);
    // An aggregator that was killed has its partitions back at once.
    let options = options.env("PAGEVIEW_KAFKA__STATIC_MEMBERSHIP", "true");
    let options = options.env("PAGEVIEW_PIPELINE__WINDOW__MEMORY_LIMIT", "1MiB");
    let stack = Stack::start(options).await?;
    // Until it is told to stop. A minute of the events passes in six seconds, and holds several times as much.
    let load = ["--rate", "10000", "--duration", "200s", "--batch", "200", "--history", "33m"];
    let events = ["--postcodes", "100000", "--ids", "--late", "1"];
    let load = Load::start(&stack, "valve", &[&load[..], &events].concat()).await?;
    for number in (1..=AGGREGATORS).chain(1..=AGGREGATORS) {
        eventually("an aggregator has written counts early", Duration::from_secs(60), async || {
            let early = metric(&stack, Service::Aggregator, number, EARLY).await?;
            let counted = metric(&stack, Service::Aggregator, number, COUNTED).await?;
            ensure!(early > 0 && counted > 0, "{early} times, {counted} events");
            Ok(Some(()))
        })
        .await?;
        stack.kill_9(Service::Aggregator, number).await?;
    }
    let report = load.stop(&stack).await?;
    println!("{}", report.text);
    let verdict = audit(&stack, report.receipts()).await?;
    println!("{verdict}");
    ensure!(further(&verdict) > 0, "every minute of a postcode has one row: nothing was written early");
    stack.stop().await?;
    Ok(())
}

/// Rows beside the first of their minute and postcode.
fn further(verdict: &Value) -> u64 {
    let checks = verdict["checks"].as_array().into_iter().flatten();
    checks.filter_map(|check| check["numbers"]["further"].as_u64()).sum()
}
