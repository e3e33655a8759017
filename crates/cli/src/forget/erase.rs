//! Doing it: first the document, then the objects, a batch at a time. Whatever is not done when it is killed is found
//! again by another run.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_sink::bucket::{self, Bucket, Replaced, Version};
use s3_sink::forgotten::{Change, FORGOTTEN, Forgotten, Reason};
use service::clock;
use tokio::task::spawn_blocking;

use super::plan::Candidate;
use super::record;
use super::report::Report;
use super::rewrite::{self, Rewritten};
use super::users::Users;
use crate::objects::persistently;
use crate::progress::Progress;

/// How many objects are read, written or deleted at a time.
const PARALLEL: usize = 8;
/// How many objects, and how many bytes of them, one document speaks of at most.
const MOST_OBJECTS: usize = 1_000;
const MOST_BYTES: usize = 128 << 20;
/// Why an object cannot be rewritten now.
const ANOTHER_RUN: &str =
    "another run of `pageviews forget` changes it at the same time: run this again when it has ended";
/// How often an object is read again that somebody else has changed meanwhile.
const ROUNDS: usize = 3;

/// One run.
pub(super) struct Eraser {
    pub(super) bucket: Bucket,
    pub(super) reason: Reason,
    /// What earlier runs have done.
    pub(super) earlier: Arc<[Forgotten]>,
    pub(super) report: Report,
}

/// An object that holds what is to be forgotten, and what it is to hold.
struct Found {
    candidate: Candidate,
    version: Version,
    rewritten: Rewritten,
}

impl Eraser {
    /// Rewrites those of `candidates` that hold events of `users`.
    pub(super) async fn rewrite(&mut self, users: Users, candidates: Vec<Candidate>) -> anyhow::Result<()> {
        let (users, mut todo) = (Arc::new(users), candidates);
        self.report.objects = todo.len() as u64;
        for _ in 0..ROUNDS {
            todo = self.round(&users, todo).await?;
            if todo.is_empty() {
                return Ok(());
            }
            // Whoever changed them has written down what is left of them.
            self.earlier = record::read(&self.bucket).await?.into();
        }
        let words = |candidate: Candidate| format!("{}: {ANOTHER_RUN}", candidate.key);
        self.report.failed.extend(todo.into_iter().map(words));
        Ok(())
    }

    /// Returns those that were changed by somebody else between reading and writing.
    async fn round(&mut self, users: &Arc<Users>, todo: Vec<Candidate>) -> anyhow::Result<Vec<Candidate>> {
        let count = todo.len() as u64;
        let (mut progress, mut read) = (Progress::new(count), 0);
        let (bucket, earlier) = (self.bucket.clone(), Arc::clone(&self.earlier));
        let mut results = stream::iter(todo)
            .map(|candidate| look(&bucket, Arc::clone(users), Arc::clone(&earlier), candidate))
            .buffer_unordered(PARALLEL);
        let (mut batch, mut changed) = (Vec::<Found>::new(), Vec::new());
        while let Some(result) = results.try_next().await? {
            match result {
                Ok(found) => batch.extend(found),
                Err(words) => self.report.failed.push(words),
            }
            let bytes: usize = batch.iter().map(|found| found.rewritten.body.len()).sum();
            if batch.len() >= MOST_OBJECTS || bytes >= MOST_BYTES {
                changed.extend(self.write(std::mem::take(&mut batch)).await?);
            }
            read += 1;
            let records = self.report.records;
            progress.update(read, || format!("{read} of {count} objects read, {records} records taken out"));
        }
        changed.extend(self.write(batch).await?);
        Ok(changed)
    }

    async fn write(&mut self, batch: Vec<Found>) -> anyhow::Result<Vec<Candidate>> {
        let change = |found: &Found| Change {
            key: found.candidate.key.clone(),
            records_removed: found.rewritten.removed,
            remains: Some(found.rewritten.remains.clone()),
        };
        let Some(id) = self.record(batch.iter().map(change).collect()).await? else { return Ok(Vec::new()) };
        let bucket = self.bucket.clone();
        let mut replaced = stream::iter(batch)
            .map(|found| {
                let (bucket, id) = (&bucket, id.as_str());
                async move {
                    let Found { candidate, version, rewritten } = found;
                    let replaced = persistently(async || {
                        let body = rewritten.body.clone();
                        bucket.replace(&candidate.key, &version, body, (FORGOTTEN, id)).await
                    });
                    Ok::<_, bucket::Error>((replaced.await?, candidate, rewritten.removed))
                }
            })
            .buffer_unordered(PARALLEL);
        let mut changed = Vec::new();
        while let Some((replaced, candidate, removed)) = replaced.try_next().await? {
            match replaced {
                Replaced::Done => {
                    self.report.rewritten += 1;
                    self.report.records += removed;
                }
                Replaced::Changed => changed.push(candidate),
            }
        }
        Ok(changed)
    }

    /// Deletes all of `candidates`.
    pub(super) async fn delete(&mut self, candidates: Vec<Candidate>) -> anyhow::Result<()> {
        self.report.objects = candidates.len() as u64;
        let (mut progress, count) = (Progress::new(self.report.objects), self.report.objects);
        for batch in candidates.chunks(MOST_OBJECTS) {
            let change = |candidate: &Candidate| Change {
                key: candidate.key.clone(),
                records_removed: candidate.records,
                remains: None,
            };
            let recorded = self.record(batch.iter().map(change).collect()).await?;
            if recorded.is_none() {
                continue;
            }
            let bucket = self.bucket.clone();
            let mut deleted = stream::iter(batch)
                .map(|candidate| {
                    let bucket = &bucket;
                    async move {
                        persistently(async || bucket.delete(&candidate.key).await).await?;
                        Ok::<_, bucket::Error>(candidate.records)
                    }
                })
                .buffer_unordered(PARALLEL);
            while let Some(records) = deleted.try_next().await? {
                self.report.deleted += 1;
                self.report.records += records;
                let deleted = self.report.deleted;
                progress.update(deleted, || format!("{deleted} of {count} objects deleted"));
            }
        }
        Ok(())
    }

    /// Says what is about to be done; the document's id, or `None` if nothing is to be done.
    async fn record(&mut self, changes: Vec<Change>) -> anyhow::Result<Option<String>> {
        if changes.is_empty() {
            return Ok(None);
        }
        if self.report.dry_run {
            self.report.records += changes.iter().map(|change| change.records_removed).sum::<u64>();
            let deleted = changes.iter().filter(|change| change.remains.is_none()).count() as u64;
            self.report.deleted += deleted;
            self.report.rewritten += changes.len() as u64 - deleted;
            return Ok(None);
        }
        let document = record::of(self.reason, clock::now(), rand::random(), changes);
        record::write(&self.bucket, &document).await.context("nothing was erased")?;
        self.report.documents.push(document.id.clone());
        Ok(Some(document.id))
    }
}

/// Reads an object: what it is to hold if it holds what is to be forgotten, or in words why that cannot be told. The
/// outer error is that of a bucket of which nothing can be read.
async fn look(
    bucket: &Bucket,
    users: Arc<Users>,
    earlier: Arc<[Forgotten]>,
    candidate: Candidate,
) -> anyhow::Result<Result<Option<Found>, String>> {
    let key = candidate.key.clone();
    let version = match persistently(async || bucket.version(&key).await).await {
        Ok(Some(version)) => version,
        Ok(None) => return Ok(Ok(None)),
        Err(error) if matches!(error.kind, bucket::Kind::Denied | bucket::Kind::Other) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let work = move || {
        let remains = version.metadata.get(FORGOTTEN).map(|id| record::remains(&earlier, id, &candidate.key));
        let offsets = match remains {
            None => candidate.written.as_ref(),
            Some(Some(remains)) => remains.offsets.as_ref(),
            Some(None) => bail!(ANOTHER_RUN),
        };
        let rewritten = rewrite::without(&users, &candidate.key, &version.body, offsets)?;
        anyhow::Ok(rewritten.map(|rewritten| Found { candidate, version, rewritten }))
    };
    Ok(spawn_blocking(work).await?.map_err(|error| format!("{key}: {error:#}")))
}
