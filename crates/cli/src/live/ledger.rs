//! Follows the ledger, without listing the bucket: the sink's commits say which range it has written last.

use std::collections::BTreeMap;
use std::time::Duration;

use s3_sink::Kind;
use s3_sink::bucket::{Bucket, Error};
use s3_sink::hint::Hint;
use s3_sink::ledger::Entry;
use s3_sink::object_name::LedgerKeys;
use service::Config;
use tokio::sync::watch;

use super::Eyes;
use super::picture::Seen;
use crate::audit::topics;

/// After so long S3 is asked whether it is there, if there is nothing else to ask.
const CHECK: Duration = Duration::from_secs(5);
/// How many ranges of one partition are read at a time: an outage that ended may have left many.
const READ: usize = 8;

/// What the commits of the sink's writers say, by partition.
pub(super) type Hints = BTreeMap<(Kind, i32), Hint>;

/// Reads the entries of the ledger as they are written, for as long as `eyes` are open.
pub(super) async fn follow(
    config: Config,
    bucket: Bucket,
    mut committed: watch::Receiver<Hints>,
    eyes: Eyes,
) {
    let topics: BTreeMap<_, _> = topics(&config.pipeline).into_iter().collect();
    let (mut read, mut checks) = (BTreeMap::new(), tokio::time::interval(CHECK));
    while !eyes.is_closed() {
        let hints = committed.borrow_and_update().clone();
        let entries = new_entries(&topics, &bucket, &hints, &mut read).await;
        let _ = eyes.send(Seen::Entries(entries.map_err(|error| error.outage())));
        tokio::select! {
            _ = checks.tick() => {}
            changed = committed.changed() => if changed.is_err() { return },
        }
    }
}

/// Those written since the ranges in `read`, which is brought up to date.
async fn new_entries(
    topics: &BTreeMap<Kind, String>,
    bucket: &Bucket,
    hints: &Hints,
    read: &mut BTreeMap<(Kind, i32), i64>,
) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for ((kind, partition), hint) in hints {
        let of = (*kind, *partition);
        let topic = topics.get(kind).cloned().unwrap_or_default();
        let keys = LedgerKeys { topic, partition: *partition };
        let mut starts = match read.get(&of) {
            Some(last) if *last == hint.ledger => continue,
            Some(last) => {
                let listed = bucket.list(&keys.prefix(), Some(&keys.entry(*last))).await?;
                listed.iter().filter_map(|object| keys.start_of(&object.key)).collect()
            }
            // The first look: the latest of each partition are enough.
            None => vec![hint.ledger],
        };
        // A range beyond the commit is being written.
        starts.retain(|start| *start <= hint.ledger);
        for start in starts.iter().rev().take(READ) {
            let key = keys.entry(*start);
            // One that cannot be read is the audit's matter.
            let json = bucket.get(&key).await?;
            entries.extend(json.and_then(|json| Entry::parse(&key, &json).ok()));
        }
        read.insert(of, hint.ledger);
    }
    if entries.is_empty() {
        bucket.check().await?;
    }
    Ok(entries)
}
