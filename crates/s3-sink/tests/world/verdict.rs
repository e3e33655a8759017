//! What must hold at the end, read from the bucket alone.

use std::collections::BTreeMap;

use libdeflater::Decompressor;
use s3_sink::envelope::Envelope;
use s3_sink::ledger::{Entry, Genesis};
use s3_sink::object_name::{LedgerKeys, ObjectName};
use s3_sink::store::NewObject;
use s3_sink::tiles::PartitionLedger;

use super::Logged;
use super::bucket::{Bucket, checksum};

/// The first thing that is wrong.
pub(crate) fn of(log: &[Option<Logged>], bucket: &Bucket) -> Result<(), String> {
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
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    for (key, object) in objects.iter().filter(|(key, _)| !key.starts_with("ledger/")) {
        let listed = ledger.entries.iter().flat_map(Entry::objects).find(|listed| listed.key == *key);
        let Some(listed) = listed else { return Err(format!("{key} is in no entry")) };
        if checksum(object) != Some(listed.checksum) {
            return Err(format!("{key} is not what its entry says"));
        }
        let offsets = offsets(key, &object.body, log)?;
        if offsets.len() as u64 != listed.records {
            return Err(format!("{key} holds {offsets:?}, its entry says {} records", listed.records));
        }
        offsets.into_iter().for_each(|offset| *seen.entry(offset).or_default() += 1);
    }
    let deleted = bucket.deleted();
    for (offset, logged) in log.iter().enumerate() {
        let offset = offset as i64;
        let times = seen.get(&offset).copied().unwrap_or(0);
        let was_deleted = deleted.iter().any(|key| holds(key, offset));
        match (logged, times) {
            (Some(_), 1) | (None, 0) => {}
            (Some(_), 0) if was_deleted => {}
            (_, times) => return Err(format!("offset {offset} is there {times} times")),
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

fn holds(key: &str, offset: i64) -> bool {
    key.parse::<ObjectName>().is_ok_and(|name| (name.start..name.end).contains(&offset))
}

/// The offsets of the records in an object, each compared with the log. An event's value is its offset, but for the
/// very last one.
fn offsets(key: &str, body: &[u8], log: &[Option<Logged>]) -> Result<Vec<i64>, String> {
    let length = body.last_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    let mut text = vec![0; length];
    Decompressor::new().gzip_decompress(body, &mut text).map_err(|error| format!("{key}: {error}"))?;
    text.strip_suffix(b"\n")
        .unwrap_or(&text)
        .split(|byte| *byte == b'\n')
        .map(|line| offset(key, line, log))
        .collect()
}

fn offset(key: &str, line: &[u8], log: &[Option<Logged>]) -> Result<i64, String> {
    let wrong = || format!("{key} has the line {:?}", String::from_utf8_lossy(line));
    let value_at = |offset: i64| log.get(offset as usize)?.as_ref().map(|logged| logged.value.clone());
    let (offset, value) = if key.starts_with("dead-letter/") {
        let envelope = Envelope::parse(line).map_err(|_| wrong())?;
        (envelope.offset, envelope.value().map_err(|_| wrong())?)
    } else if line == b"{}" {
        (log.len() as i64 - 1, Some(line.to_vec()))
    } else {
        let json: serde_json::Value = serde_json::from_slice(line).map_err(|_| wrong())?;
        (json["offset"].as_i64().ok_or_else(wrong)?, Some(line.to_vec()))
    };
    if value_at(offset) == Some(value) { Ok(offset) } else { Err(wrong()) }
}
