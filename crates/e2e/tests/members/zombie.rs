//! Aggregators that stand still until another has their partitions, and then go on; one of them, and one that is dead for
//! good, between the first row of a transaction and its commit. They change nothing, and hold nobody up for longer than
//! a transaction may last.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Ends, Load, at_some_moment, conclude, eventually, for_a_while, metric, options};
use model::topic;
use stack::{Service, Stack};
use tokio::time::Instant;

/// `session.timeout.ms`: how long the group waits for a member that says nothing.
const SESSION: Duration = Duration::from_secs(10);
/// `transaction.timeout.ms`, and how often the broker looks for transactions that have lasted longer
/// (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
const TRANSACTION: Duration = Duration::from_secs(10 + 10);
/// To start, to join, to restore, and to say so.
const SLACK: Duration = Duration::from_secs(15);

const PARTITIONS: &str = "aggregator_assigned_partitions";
const OPEN_WINDOWS: &str = "aggregator_open_windows";
const COUNTED: &str = "pageviews_counted_total";

#[tokio::test]
async fn zombies_change_nothing_and_an_open_transaction_holds_nobody_up_for_long() -> Result<()> {
    let mut stack = Stack::start(options("zombie")?.replicas(Service::Aggregator, 3)).await?;
    // Until it is told to stop. A minute of the events passes in two seconds.
    let load = ["--rate", "5000", "--duration", "200s", "--batch", "100", "--history", "100m"];
    let events = ["--disorder", "5s", "--late", "2"];
    let load = Load::start(&stack, "zombie", &[&load[..], &events].concat()).await?;

    let rows = Ends::of(&stack, topic::AGGREGATES, topic::PARTITIONS)?;
    freeze_with_open_windows(&stack, 1).await?;
    freeze_in_transaction(&stack, 2, &rows).await?;
    freeze_in_transaction(&stack, 3, &rows).await?;
    stack.replica(Service::Aggregator, 3)?.set_restarts(false);
    stack.kill_9(Service::Aggregator, 3).await?;
    taken_over(&mut stack, 4, &rows).await?;

    // What they wake up to write, another has written by now.
    for number in [1, 2] {
        stack.replica(Service::Aggregator, number)?.thaw()?;
    }
    shared(&stack, [1, 2, 4]).await?;

    conclude(&stack, load).await?;
    stack.stop().await?;
    Ok(())
}

/// Stops the aggregator `number` while it counts.
async fn freeze_with_open_windows(stack: &Stack, number: u16) -> Result<()> {
    eventually("an aggregator has open windows, and has written rows", Duration::from_secs(60), async || {
        let windows = metric(stack, Service::Aggregator, number, OPEN_WINDOWS).await?;
        let counted = metric(stack, Service::Aggregator, number, COUNTED).await?;
        ensure!(windows > 0 && counted > 0, "{windows} windows, {counted} events");
        Ok(Some(stack.replica(Service::Aggregator, number)?.freeze().await?))
    })
    .await
}

/// Stops the aggregator `number` while `rows` of closed windows lie in a transaction that it has not committed.
async fn freeze_in_transaction(stack: &Stack, number: u16, rows: &Ends) -> Result<()> {
    let mut before = rows.open()?;
    at_some_moment("an aggregator stands still in a transaction", Duration::from_secs(30), async || {
        let now = rows.open()?;
        let opened: BTreeSet<i32> = now.difference(&before).copied().collect();
        before = now;
        if opened.is_empty() {
            return Ok(None);
        }
        stack.replica(Service::Aggregator, number)?.freeze().await?;
        // If it is that of another, or was about to be committed, it is over soon.
        for_a_while(Duration::from_millis(500)).await;
        if !rows.open()?.is_disjoint(&opened) {
            println!("aggregator {number} stands still in a transaction");
            return Ok(Some(()));
        }
        stack.replica(Service::Aggregator, number)?.thaw()?;
        Ok(None)
    })
    .await
}

/// Starts the aggregator `number`, and waits until it has all partitions and counts: no longer than the group waits for
/// members that say nothing, and the broker for the end of their transactions. Who reads the rows waits no longer either.
async fn taken_over(stack: &mut Stack, number: u16, rows: &Ends) -> Result<()> {
    let (all, within) = (u64::try_from(topic::PARTITIONS)?, SESSION.max(TRANSACTION) + SLACK);
    let dead = Instant::now();
    stack.set_replicas(Service::Aggregator, number).await?;
    eventually("another counts every partition", within, async || {
        let partitions = metric(stack, Service::Aggregator, number, PARTITIONS).await?;
        let counted = metric(stack, Service::Aggregator, number, COUNTED).await?;
        ensure!(partitions == all && counted > 0, "{partitions} partitions, {counted} events");
        Ok(Some(()))
    })
    .await?;
    let counting = dead.elapsed();
    at_some_moment("its rows can be read", within.saturating_sub(counting), async || {
        Ok(rows.open()?.is_empty().then_some(()))
    })
    .await?;
    println!("after {counting:?} another counts, after {:?} its rows can be read", dead.elapsed());
    Ok(())
}

/// Waits until each of `numbers` counts some partitions, and together all.
async fn shared(stack: &Stack, numbers: [u16; 3]) -> Result<()> {
    let all = u64::try_from(topic::PARTITIONS)?;
    eventually("they share the partitions", Duration::from_secs(60), async || {
        let mut shares = Vec::new();
        for number in numbers {
            shares.push(metric(stack, Service::Aggregator, number, PARTITIONS).await?);
        }
        ensure!(shares.iter().sum::<u64>() == all && !shares.contains(&0), "they have {shares:?}");
        Ok(Some(()))
    })
    .await
}
