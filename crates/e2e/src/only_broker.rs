//! `kill -9` of the one broker there is.

use std::time::Duration;

use anyhow::Result;
use stack::{Service, Signal, Stack};

use crate::wait::for_a_while;

/// A commit takes some tens of milliseconds.
const COMMITTED: Duration = Duration::from_secs(1);

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
    signal_aggregators(stack, Signal::Stop)?;
    for_a_while(COMMITTED).await;
    stack.kafka().kill_9().await?;
    signal_aggregators(stack, Signal::Cont)
}

fn signal_aggregators(stack: &Stack, signal: Signal) -> Result<()> {
    let replicas = (1..).map_while(|number| stack.replica(Service::Aggregator, number).ok());
    for replica in replicas {
        replica.signal(signal)?;
    }
    Ok(())
}
