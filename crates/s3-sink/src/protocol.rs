//! The protocol between owners of a partition, in terms of a [`Store`]: how a range is written, and what the
//! ledger says last. Nothing here depends on who owns the partition: any number may do any of this at any time.

use bytes::Bytes;
use futures::future::join_all;

use crate::action::{Cause, Plan};
use crate::checksum::Checksum;
use crate::format;
use crate::frontier::{Blocked, Last};
use crate::hint::Hint;
use crate::ledger::{self, Content, Entry, Genesis, Object, Origin};
use crate::object_name::{self, LedgerKeys};
use crate::store::{Created, NewObject, Store};

/// What became of a range.
#[derive(Debug)]
pub enum Outcome {
    /// All its objects are there.
    Written,
    /// The ledger holds another range with the same start.
    Outdone,
    /// Going on would contradict what is there.
    Blocked(Blocked),
}

/// Writes a range: first its entry, which fixes it for everybody and for ever, then its objects.
pub async fn write<S: Store>(store: &S, plan: &Plan) -> Outcome {
    match fix(store, plan).await {
        Ok(true) => {}
        Ok(false) => return Outcome::Outdone,
        Err(error) => return Outcome::Blocked(error.into()),
    }
    let objects = plan.sealed.entry.objects().iter().zip(&plan.sealed.bodies);
    let written =
        join_all(objects.map(|(object, body)| put(store, &plan.sealed.entry, object, body.clone()))).await;
    written.into_iter().find_map(Result::err).map_or(Outcome::Written, Outcome::Blocked)
}

/// Whether the ledger says, from now on, what the plan says. An entry that is there already may be our own, written by
/// an attempt whose answer was lost, or that of another owner who cut the same records: then it is as good.
async fn fix<S: Store>(store: &S, plan: &Plan) -> Result<bool, ledger::Error> {
    if plan.cause == Cause::Redo {
        return Ok(true);
    }
    let entry = &plan.sealed.entry;
    loop {
        if store.create(&document(entry.key(), entry.to_json())).await == Created::New {
            return Ok(true);
        }
        if let Some(json) = store.get(&entry.key()).await {
            return Entry::parse(&entry.key(), &json).map(|found| found.agrees(entry));
        }
        // Taken, and gone when read: somebody deletes from the ledger. Try again rather than guess.
    }
}

async fn put<S: Store>(store: &S, entry: &Entry, object: &Object, body: Bytes) -> Result<(), Blocked> {
    let new = NewObject {
        key: object.key.clone(),
        body,
        content_type: format::of(&object.key).map_or("application/octet-stream", format::content_type),
        metadata: metadata(entry, object),
    };
    loop {
        if store.create(&new).await == Created::New || exists(store, object).await? {
            return Ok(());
        }
    }
}

/// Whether `object` is there, with the content that the ledger says.
async fn exists<S: Store>(store: &S, object: &Object) -> Result<bool, Blocked> {
    match store.head(&object.key).await {
        None => Ok(false),
        Some(head) if head.checksum == Some(object.checksum) => Ok(true),
        Some(head) => Err(Blocked::Conflict {
            key: object.key.clone(),
            expected: object.checksum,
            found: head.checksum.as_ref().map_or("unknown content".to_owned(), Checksum::to_string),
        }),
    }
}

/// The metadata of an object of a range, which repeats what the ledger says for whoever has only the object.
#[must_use]
pub fn metadata(entry: &Entry, object: &Object) -> Vec<(&'static str, String)> {
    vec![
        ("topic", entry.topic.clone()),
        ("partition", entry.partition.to_string()),
        ("start-offset", entry.start.to_string()),
        ("end-offset", entry.end.to_string()),
        ("records", object.records.to_string()),
        (CHECKSUM, object.checksum.to_string()),
    ]
}

/// The key of the content checksum in an object's metadata.
pub const CHECKSUM: &str = "content-checksum";

fn document(key: String, json: Vec<u8>) -> NewObject {
    NewObject { key, body: json.into(), content_type: "application/json", metadata: Vec::new() }
}

/// The last thing that the ledger says of the partition: listed from the entry that `hint` names if that is there, else
/// from the beginning. A partition that has no ledger gets one, which starts at `log_start`.
///
/// # Errors
/// [`Blocked`] when a document cannot be used, or an object is not what its entry says.
pub async fn last<S: Store>(
    store: &S,
    keys: &LedgerKeys,
    hint: Option<Hint>,
    log_start: i64,
) -> Result<Last, Blocked> {
    let hinted = match hint {
        Some(hint) => read(store, keys, hint.ledger).await?.filter(|entry| entry.end <= hint.committed),
        None => None,
    };
    let after = hinted.as_ref().map(Entry::key);
    let listed = store.list(&keys.prefix(), after.as_deref()).await;
    let newest = listed.iter().filter_map(|key| keys.start_of(key)).max();
    let entry = match newest {
        Some(start) => read(store, keys, start).await?.or(hinted),
        None => hinted,
    };
    let Some(entry) = entry else { return genesis(store, keys, log_start).await.map(Last::Genesis) };
    let mut complete = entry.content != Content::Lost;
    for present in join_all(entry.objects().iter().map(|object| exists(store, object))).await {
        complete &= present?;
    }
    Ok(Last::Entry { entry, complete })
}

async fn read<S: Store>(store: &S, keys: &LedgerKeys, start: i64) -> Result<Option<Entry>, Blocked> {
    let key = keys.entry(start);
    let Some(json) = store.get(&key).await else { return Ok(None) };
    Ok(Some(Entry::parse(&key, &json)?))
}

/// Fixes the partition's first start: what the log starts with, for whoever asks first.
async fn genesis<S: Store>(store: &S, keys: &LedgerKeys, log_start: i64) -> Result<i64, Blocked> {
    let genesis = Genesis { topic: keys.topic.clone(), partition: keys.partition, start: log_start };
    loop {
        if store.create(&document(keys.genesis(), genesis.to_json())).await == Created::New {
            return Ok(genesis.start);
        }
        if let Some(json) = store.get(&keys.genesis()).await {
            return Ok(Genesis::parse(&keys.genesis(), &json)?.start);
        }
    }
}

/// Claims a topic's ledger for this topic of this cluster, and returns whose it is.
///
/// # Errors
/// [`ledger::Error`] when an origin is there that cannot be read.
pub async fn claim<S: Store>(store: &S, origin: &Origin) -> Result<Origin, ledger::Error> {
    let key = object_name::origin(&origin.topic);
    loop {
        if store.create(&document(key.clone(), origin.to_json())).await == Created::New {
            return Ok(origin.clone());
        }
        if let Some(json) = store.get(&key).await {
            return Origin::parse(&key, &json);
        }
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
