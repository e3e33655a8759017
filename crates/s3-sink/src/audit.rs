//! Reading the ledger as a whole, for whoever audits it.

use futures::StreamExt as _;
use futures::stream;

use crate::bucket::{self, Bucket};
use crate::ledger::{self, Entry, Genesis, Origin};
use crate::object_name::{self, LedgerKeys};
use crate::tiles::PartitionLedger;

/// How many documents are read at a time.
const READS: usize = 32;

/// Why a ledger could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bucket did not answer.
    #[error(transparent)]
    Bucket(#[from] bucket::Error),
    /// A document cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

/// The partitions of `topic` that have a ledger, ascending.
///
/// # Errors
/// [`bucket::Error`].
pub async fn partitions(bucket: &Bucket, topic: &str) -> Result<Vec<LedgerKeys>, bucket::Error> {
    let listed = bucket.list(&object_name::topic_prefix(topic), None).await?;
    let mut partitions: Vec<_> =
        listed.iter().filter_map(|object| LedgerKeys::of_key(topic, &object.key)).collect();
    partitions.dedup();
    Ok(partitions)
}

/// Everything that the ledger says of a partition.
///
/// # Errors
/// [`enum@Error`].
pub async fn read(bucket: &Bucket, keys: &LedgerKeys) -> Result<PartitionLedger, Error> {
    let listed = bucket.list(&keys.prefix(), None).await?;
    let mut documents = stream::iter(listed)
        .map(|object| async move { bucket.get(&object.key).await.map(|json| (object.key, json)) })
        .buffered(READS);
    let mut ledger = PartitionLedger { genesis: None, entries: Vec::new() };
    while let Some(document) = documents.next().await {
        let (key, Some(json)) = document? else { continue };
        if key == keys.genesis() {
            ledger.genesis = Some(Genesis::parse(&key, &json)?);
        } else if keys.start_of(&key).is_some() {
            ledger.entries.push(Entry::parse(&key, &json)?);
        }
    }
    Ok(ledger)
}

/// Which topic of which cluster the ledger of `topic` belongs to; `None` if no sink has claimed it.
///
/// # Errors
/// [`enum@Error`].
pub async fn origin(bucket: &Bucket, topic: &str) -> Result<Option<Origin>, Error> {
    let key = object_name::origin(topic);
    let json = bucket.get(&key).await?;
    Ok(json.map(|json| Origin::parse(&key, &json)).transpose()?)
}
