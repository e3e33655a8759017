//! Reading what the sink wrote: objects in parallel, their records one by one.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{HumanBytes, HumanCount};
use s3_sink::bucket::{self, Bucket, Kind, Listed};
use s3_sink::checksum::Checksum;
use s3_sink::decode::{self, Decoded, decode};
use service::Config;
use service::backoff::Backoff;
use tokio::sync::Semaphore;

use crate::progress::Progress;

/// How many documents of a ledger are read at a time.
const DOCUMENTS: usize = 32;
/// How many objects are read at a time, at most.
const READS: usize = 16;
/// How many KiB of objects are in memory at a time: a larger object is read alone.
const ROOM: u32 = 256 << 10;
/// How often a read is tried.
const ATTEMPTS: u32 = 5;

/// Why one object cannot be read, while others can.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("it was deleted while it was to be read")]
    Gone,
    #[error("{}", decode::Error::Format)]
    Format,
    /// S3 has it and does not give it away: the rights are missing, or it was moved to an archive.
    #[error(transparent)]
    Refused(bucket::Error),
    #[error("{0:#}")]
    Damaged(anyhow::Error),
}

/// An object that was read, its records to be gone through.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) key: String,
    /// The content that its metadata names.
    pub(crate) checksum: Option<Checksum>,
    /// The document that its metadata names: what that says was left of it is what it holds.
    pub(crate) forgotten: Option<String>,
    body: Bytes,
}

impl Found {
    #[cfg(test)]
    pub(crate) fn new(key: &str, body: impl Into<Bytes>) -> Self {
        Self { key: key.to_owned(), checksum: None, forgotten: None, body: body.into() }
    }

    /// How many bytes it has.
    pub(crate) const fn size(&self) -> u64 {
        self.body.len() as u64
    }

    /// Calls `each` with every record, whatever the format.
    pub(crate) fn for_each(&self, each: impl FnMut(Decoded<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        decode(&self.key, self.body.clone(), each)
    }
}

impl From<anyhow::Error> for Unread {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast_ref() {
            Some(decode::Error::Format) => Self::Format,
            _ => Self::Damaged(error),
        }
    }
}

/// The bucket of the configuration, if it is there.
pub(crate) async fn bucket(config: &Config) -> anyhow::Result<Bucket> {
    let bucket = Bucket::connect(config).await;
    bucket
        .check()
        .await
        .context("cannot use the bucket (aws.s3.*, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)")?;
    Ok(bucket)
}

/// All objects below `prefix`, in the order of their keys.
pub(crate) async fn list(bucket: &Bucket, prefix: &str) -> anyhow::Result<Vec<Listed>> {
    Ok(persistently(async || bucket.list(prefix, None).await).await?)
}

/// The whole object `key`; `None` if there is none.
pub(crate) async fn get(bucket: &Bucket, key: &str) -> Result<Option<Bytes>, bucket::Error> {
    persistently(async || bucket.get(key).await).await
}

/// Reads `objects` on all cores: `read` gets each of them, `take` what `read` made of it, in any order. Ends early where
/// S3 does not answer, and where `take` says so: one object that cannot be read is its matter.
pub(crate) async fn read<T: Send + 'static>(
    bucket: &Bucket,
    what: &str,
    objects: Vec<Listed>,
    read: impl Fn(&Found) -> anyhow::Result<T> + Clone + Send + 'static,
    mut take: impl FnMut(&str, Result<T, Unread>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (count, bytes) = (objects.len() as u64, objects.iter().map(|object| object.size).sum());
    let (mut progress, mut read_bytes, mut read_objects) = (Progress::new(bytes), 0, 0);
    let room = Semaphore::new(ROOM as usize);
    let results = objects.into_iter().map(|Listed { key, size }| {
        let (read, room) = (read.clone(), &room);
        async move {
            let needed = u32::try_from(size.div_ceil(1024)).unwrap_or(ROOM).min(ROOM);
            let _held = room.acquire_many(needed).await?;
            let value = match found(bucket, &key).await? {
                Ok(found) => {
                    let parsed = tokio::task::spawn_blocking(move || read(&found).map_err(Unread::from));
                    // A decoder that panics has met bytes that nobody wrote.
                    parsed.await.unwrap_or_else(|panic| Err(Unread::Damaged(panic.into())))
                }
                Err(unread) => Err(unread),
            };
            anyhow::Ok((key, size, value))
        }
    });
    let mut results = stream::iter(results).buffer_unordered(READS);
    while let Some((key, size, value)) = results.try_next().await? {
        take(&key, value)?;
        (read_bytes, read_objects) = (read_bytes + size, read_objects + 1);
        progress.update(read_bytes, || {
            let (done, all) = (HumanCount(read_objects), HumanCount(count));
            format!("{what}: {done} of {all} objects, {} of {}", HumanBytes(read_bytes), HumanBytes(bytes))
        });
    }
    Ok(())
}

/// One object; the outer error is that of a bucket of which nothing can be read.
async fn found(bucket: &Bucket, key: &str) -> Result<Result<Found, Unread>, bucket::Error> {
    match persistently(async || bucket.get_with_head(key).await).await {
        Ok(Some((head, body))) => {
            let (key, checksum, forgotten) = (key.to_owned(), head.checksum, head.forgotten);
            Ok(Ok(Found { key, checksum, forgotten, body }))
        }
        Ok(None) => Ok(Err(Unread::Gone)),
        Err(error) if matches!(error.kind, Kind::Denied | Kind::Other) => Ok(Err(Unread::Refused(error))),
        Err(error) => Err(error),
    }
}

/// The documents of the ledger under `keys`, whole and in any order; those that are gone are left out.
pub(crate) async fn documents(
    bucket: &Bucket,
    what: &str,
    keys: Vec<String>,
) -> anyhow::Result<impl Iterator<Item = (String, Bytes)> + use<>> {
    let (count, mut progress) = (keys.len() as u64, Progress::new(keys.len() as u64));
    let get = async |key: String| get(bucket, &key).await.map(|json| (key, json));
    let mut answers = stream::iter(keys).map(get).buffer_unordered(DOCUMENTS);
    let (mut documents, mut read) = (Vec::new(), 0);
    while let Some((key, json)) = answers.try_next().await? {
        documents.extend(json.map(|json| (key, json)));
        read += 1;
        progress.update(read, || format!("ledger of {what}: {read} of {count} documents"));
    }
    Ok(documents.into_iter())
}

/// Tries again for a while what may succeed by itself.
pub(crate) async fn persistently<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, bucket::Error>,
) -> Result<T, bucket::Error> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3));
    loop {
        match attempt().await {
            Err(bucket::Error { kind: Kind::Busy | Kind::Unreachable, .. })
                if backoff.attempts() + 1 < ATTEMPTS =>
            {
                pause(backoff.next_wait()).await;
            }
            result => return result,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two attempts is a pause")]
async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(key: &str, body: &'static [u8]) -> Result<Vec<String>, Unread> {
        let mut found = Vec::new();
        Found::new(key, body).for_each(|record| {
            found.push(String::from_utf8(record.bytes().to_vec())?);
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn what_cannot_be_read_is_damaged_or_of_another_release() {
        assert_eq!(lines("raw/x.ndjson", b"a\nbb\n").unwrap(), ["a", "bb"]);
        assert!(matches!(lines("raw/x.ndjson", b"a\nbb"), Err(Unread::Damaged(_))));
        assert!(matches!(lines("raw/x.parquet", b"PAR1"), Err(Unread::Damaged(_))));
        assert!(matches!(lines("raw/_SUCCESS", b""), Err(Unread::Format)));
    }
}
