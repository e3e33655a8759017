//! `kill -9` of the one broker there is.

use std::time::Duration;

use anyhow::{Result, ensure};
use stack::{Process, Service, Stack};

use crate::wait::eventually;

const TOOL: &str = "org.apache.kafka.tools.TransactionsCommand";
const COMPLETED: Duration = Duration::from_secs(30);

/// Kills Kafka at a moment in which no transaction is being completed: the aggregators are frozen before, with whatever
/// transaction they have open, and go on after.
///
/// Kafka 4.3.1 forgets to complete a transaction whose partitions have no leader: it takes them for deleted, writes no
/// marker, and says that the transaction is complete. That is what the only broker finds when it comes back from a
/// `kill -9` amid a commit, one in a hundred here; docs/operations.md says what to do then.
///
/// # Errors
/// When something is not running.
pub async fn kill_only_broker(stack: &Stack) -> Result<()> {
    for aggregator in aggregators(stack) {
        aggregator.freeze().await?;
    }
    eventually("no transaction is being completed", COMPLETED, async || {
        let output = stack.kafka_tool(TOOL, &["list"], b"").await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let list = String::from_utf8(output.stdout)?;
        ensure!(list.contains("TransactionState"), "not a list of transactions: {list}");
        Ok((!list.contains("Prepare")).then_some(()))
    })
    .await?;
    stack.kafka().kill_9().await?;
    aggregators(stack).try_for_each(Process::thaw)?;
    Ok(())
}

fn aggregators(stack: &Stack) -> impl Iterator<Item = &Process> {
    (1..).map_while(|number| stack.replica(Service::Aggregator, number).ok())
}
