//! Reading objects for an audit: `aggregates/` and `late/`, and all of `raw/` where there are receipts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use s3_sink::Kind;
use s3_sink::bucket::{Bucket, Listed};
use s3_sink::ledger::Object;

use super::check::Check;
use super::events::EventsCheck;
use super::forgotten::Register;
use super::ledger::TopicLedger;
use super::receipts::{self, Marks, user_id};
use super::rows::{Rows, RowsCheck};
use crate::objects::{Found, Unread, read};
use crate::receipts::Receipts;
use crate::verdict::Misused;

/// A load whose receipts are held against `raw/`.
pub(super) struct Load {
    name: String,
    receipts: Receipts,
    marks: Arc<Marks>,
}

impl Load {
    /// Reads receipt files, which must be of different loads.
    pub(super) fn open(files: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        let loads: Vec<_> = files.iter().map(|file| Self::read(file)).collect::<Result<_, _>>()?;
        for (at, load) in loads.iter().enumerate() {
            if let Some(other) = loads[..at].iter().find(|other| other.receipts.space == load.receipts.space)
            {
                let words = format!("{} and {} are of loads with the same seed", other.name, load.name);
                return Err(Misused(words).into());
            }
        }
        Ok(loads)
    }

    fn read(file: &Path) -> anyhow::Result<Self> {
        let name = file.display().to_string();
        let opened = File::open(file).map_err(|error| Misused(format!("cannot open {name}: {error}")))?;
        let receipts =
            Receipts::read(BufReader::new(opened)).map_err(|error| Misused(format!("{name}: {error}")))?;
        let marks = Arc::new(Marks::new(&receipts));
        Ok(Self { name, receipts, marks })
    }

    pub(super) fn check(&self, quiet: bool) -> Check {
        receipts::check(&self.name, &self.receipts, &self.marks, quiet)
    }
}

/// Reads all of `raw/`, listed in the ledger or not: marks every event in `loads`, and tells whether the objects hold
/// what the ledger says.
pub(super) async fn raw(
    bucket: &Bucket,
    ledgers: &[TopicLedger],
    objects: &BTreeMap<String, u64>,
    register: &Register,
    loads: &[Load],
) -> anyhow::Result<Check> {
    let all: Vec<_> = loads.iter().map(|load| Arc::clone(&load.marks)).collect();
    let mark = move |object: &Found| {
        let mut count = 0;
        let document = object.forgotten.clone();
        object.for_each(|record| {
            if let Some(user) = user_id(record.bytes()) {
                all.iter().for_each(|marks| marks.mark(user));
            }
            count += 1;
            Ok(())
        })?;
        Ok((count, document))
    };
    let listed = listed(ledgers, Kind::Raw, "raw");
    let mut check = EventsCheck::new();
    let add = |key: &str, read: Result<(u64, Option<String>), Unread>| {
        let written = listed.get(key).copied();
        // Of an object that names a document, what that says is left; one not carried out says nothing of it.
        let left = match (&read, written) {
            (Ok((_, Some(id))), Some(object)) => register.left(object).remove(id),
            _ => None,
        };
        check.add(key, left.as_ref().or(written), read.map(|(events, _)| events));
        Ok(())
    };
    let objects = objects.iter().filter(|(key, _)| key.starts_with("raw/"));
    let objects = objects.map(|(key, size)| Listed { key: key.clone(), size: *size }).collect();
    read(bucket, "raw/", objects, mark, add).await?;
    Ok(check.finish())
}

/// Checks the rows of `kind` that the ledger lists and that are there, a day at a time. What is missing, or there and
/// not listed, is the inventory's matter. `partial` rows were written early.
pub(super) async fn rows(
    bucket: &Bucket,
    ledgers: &[TopicLedger],
    objects: &BTreeMap<String, u64>,
    kind: Kind,
    partial: u64,
) -> anyhow::Result<Check> {
    let listed = listed(ledgers, kind, kind.folder().unwrap_or_default());
    let mut days = BTreeMap::<&str, Vec<Listed>>::new();
    for (key, size) in listed.keys().filter_map(|key| objects.get_key_value(*key)) {
        let day = key.rsplit_once('/').map_or("", |(folder, _)| folder);
        days.entry(day).or_default().push(Listed { key: key.clone(), size: *size });
    }
    let mut check = RowsCheck::new(kind, partial);
    for (day, objects) in days {
        let add = |key: &str, rows: Result<Rows, Unread>| {
            if let Some(object) = listed.get(key) {
                check.add(object, rows);
            }
            Ok(())
        };
        read(bucket, day, objects, Rows::read, add).await.with_context(|| format!("cannot check {day}"))?;
        check.end_day();
    }
    Ok(check.finish())
}

/// The objects below `folder` in the ledger of `kind`, by their keys, as they were written.
fn listed<'a>(ledgers: &'a [TopicLedger], kind: Kind, folder: &'a str) -> BTreeMap<&'a str, &'a Object> {
    let ledgers = ledgers.iter().filter(|ledger| ledger.kind == kind);
    let objects = ledgers.flat_map(|ledger| ledger.objects_in(folder));
    objects.map(|object| (object.key.as_str(), object)).collect()
}
