//! Reading objects for an audit: all of `aggregates/`, and all of `raw/` where there are receipts.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use s3_sink::Kind;
use s3_sink::bucket::{Bucket, Listed};

use super::check::Check;
use super::ledger::TopicLedger;
use super::receipts::{self, Marks, user_id};
use super::rows::{Rows, RowsCheck};
use crate::objects::{for_each_line, list, read};
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

/// Marks in `loads` every event that is in `raw/`.
pub(super) async fn raw(bucket: &Bucket, loads: &[Load]) -> anyhow::Result<()> {
    if loads.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = loads.iter().map(|load| Arc::clone(&load.marks)).collect();
    let mark = move |_: &str, lines: &mut dyn std::io::BufRead| {
        for_each_line(lines, |line| {
            if let Some(user) = user_id(line) {
                all.iter().for_each(|marks| marks.mark(user));
            }
            Ok(())
        })
    };
    read(bucket, "raw/", list(bucket, "raw/").await?, mark, Ok).await
}

/// Checks the rows of `aggregates/`, a day at a time.
pub(super) async fn rows(bucket: &Bucket, ledgers: &[TopicLedger]) -> anyhow::Result<Check> {
    let listed = ledgers.iter().filter(|ledger| ledger.kind == Kind::Aggregates);
    let listed: HashMap<_, _> = listed
        .flat_map(|ledger| ledger.objects_in("aggregates"))
        .map(|object| (object.key.as_str(), object))
        .collect();
    let mut days = BTreeMap::<String, Vec<Listed>>::new();
    for object in list(bucket, "aggregates/").await? {
        let day = object.key.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        days.entry(day).or_default().push(object);
    }
    let mut check = RowsCheck::new();
    for (day, objects) in days {
        let rows = |key: &str, lines: &mut dyn std::io::BufRead| {
            Ok((key.to_owned(), Rows::read(lines).map_err(|error| format!("{error:#}"))))
        };
        let add = |(key, rows): (String, Result<Rows, String>)| {
            check.add(&key, listed.get(key.as_str()).copied(), rows);
            Ok(())
        };
        read(bucket, &day, objects, rows, add).await.with_context(|| format!("cannot check {day}"))?;
        check.end_day();
    }
    Ok(check.finish())
}
