//! What must hold at the end, read from the bucket alone.

use std::collections::BTreeMap;

use s3_sink::checksum::Hasher;
use s3_sink::decode::{self, decode};
use s3_sink::ledger::{Content, Entry, Genesis, Object};
use s3_sink::object_name::LedgerKeys;
use s3_sink::store::NewObject;
use s3_sink::tiles::PartitionLedger;

use super::Logged;
use super::bucket::{Bucket, checksum};

/// The first thing that is wrong.
pub(crate) fn of(log: &[Option<Logged>], log_start: i64, bucket: &Bucket) -> Result<(), String> {
    let objects = bucket.objects();
    let ledger = ledger(&objects)?;
    if let Some(fault) = ledger.faults().first() {
        return Err(format!("the ledger does not tile: {fault}"));
    }
    let end = log.iter().rposition(Option::is_some).map(|offset| offset as i64 + 1);
    if ledger.frontier() != end {
        return Err(format!(
            "the frontier is {:?}, the log's last record ends at {end:?}",
            ledger.frontier()
        ));
    }
    let listed: Vec<_> = ledger
        .entries
        .iter()
        .flat_map(|entry| entry.objects().iter().map(move |object| (entry, object)))
        .collect();
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    for (key, object) in objects.iter().filter(|(key, _)| !key.starts_with("ledger/")) {
        let Some((entry, listed)) = listed.iter().find(|(_, listed)| listed.key == *key) else {
            return Err(format!("{key} is in no entry"));
        };
        for offset in offsets(entry, listed, object, log)? {
            *seen.entry(offset).or_default() += 1;
        }
    }
    let deleted = bucket.deleted();
    let genesis = ledger.genesis.as_ref().map_or(0, |genesis| genesis.start);
    for (offset, logged) in (genesis..).zip(&log[genesis as usize..]) {
        let entry = ledger.entries.iter().find(|entry| (entry.start..entry.end).contains(&offset));
        let missing = |object: &&Object| !objects.contains_key(&object.key);
        let gone = |entry: &Entry| match &entry.content {
            // Listed as lost: only what the log had dropped may be.
            Content::Lost => entry.end <= log_start,
            // Missing: deleted on purpose, or its log had lost some of it before it could be written again.
            Content::Written(_) => {
                let missing: Vec<_> = entry.objects().iter().filter(missing).collect();
                let on_purpose = missing.iter().all(|object| deleted.contains(&object.key));
                !missing.is_empty() && (on_purpose || entry.start < log_start)
            }
        };
        match (logged, seen.get(&offset).copied().unwrap_or(0)) {
            (Some(_), 1) | (None, 0) => {}
            (Some(_), 0) if entry.is_some_and(|entry| gone(entry) && !holds(entry, offset, &objects)) => {}
            (_, times) => return Err(format!("offset {offset} is there {times} times, {entry:?}")),
        }
    }
    Ok(())
}

fn ledger(objects: &BTreeMap<String, NewObject>) -> Result<PartitionLedger, String> {
    let keys = LedgerKeys { topic: "pageviews".to_owned(), partition: 0 };
    let mut ledger = PartitionLedger { genesis: None, entries: Vec::new() };
    for (key, object) in objects.iter().filter(|(key, _)| key.starts_with(&keys.prefix())) {
        if *key == keys.genesis() {
            ledger.genesis = Some(Genesis::parse(key, &object.body).map_err(|error| error.to_string())?);
        } else {
            ledger.entries.push(Entry::parse(key, &object.body).map_err(|error| error.to_string())?);
        }
    }
    Ok(ledger)
}

/// Whether an object that is there should hold the offset.
fn holds(entry: &Entry, offset: i64, objects: &BTreeMap<String, NewObject>) -> bool {
    entry.objects().iter().filter(|object| objects.contains_key(&object.key)).any(|object| {
        object
            .offsets_in(entry.start, entry.end)
            .is_some_and(|offsets| offsets.iter().any(|one| one == offset))
    })
}

/// The offsets of the records in an object, each compared with the log, and all of them with what the entry says.
fn offsets(
    entry: &Entry,
    listed: &Object,
    object: &NewObject,
    log: &[Option<Logged>],
) -> Result<Vec<i64>, String> {
    let key = &listed.key;
    let told = listed.offsets_in(entry.start, entry.end).ok_or_else(|| format!("{key}: no offsets"))?;
    let (mut offsets, mut content) = (told.iter(), Hasher::default());
    let read = decode(key, object.body.clone(), |record| {
        let offset =
            offsets.next().ok_or_else(|| decode::Error::Damaged("more records than listed".to_owned()))?;
        let logged = log.get(offset as usize).and_then(Option::as_ref);
        let value = record.value.as_deref();
        if record.offset.is_some_and(|own| own != offset)
            || logged.is_none_or(|logged| logged.value.as_deref() != value)
        {
            return Err(decode::Error::Damaged(format!("offset {offset} is not what was logged")));
        }
        content.record(offset, value);
        Ok(())
    });
    read.map_err(|error| format!("{key}: {error}"))?;
    let content = Some(content.finish());
    if offsets.next().is_some() || content != Some(listed.checksum) || content != checksum(object) {
        return Err(format!("{key} is not what its entry says"));
    }
    Ok(told.iter().collect())
}
