//! Reading what the sink wrote: objects in parallel, their lines one by one.

use std::io::{self, BufRead, BufReader, Cursor};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{HumanBytes, HumanCount};
use s3_sink::bucket::{self, Bucket, Kind, Listed};
use service::Config;
use service::backoff::Backoff;

use crate::progress::Progress;

/// How many objects are read at a time.
const READS: usize = 8;
/// How often a read is tried.
const ATTEMPTS: u32 = 5;

/// Why one object cannot be read, while others can.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("it was deleted while it was to be read")]
    Gone,
    #[error("this release reads ndjson and ndjson.gz only")]
    Format,
    /// S3 has it and does not give it away: the rights are missing, or it was moved to an archive.
    #[error(transparent)]
    Refused(bucket::Error),
    #[error("{0:#}")]
    Damaged(anyhow::Error),
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

/// Reads the objects `keys` on all cores: `read` gets the lines of each, `take` what `read` made of them, in any order.
/// Ends early where S3 does not answer, and where `take` says so: one object that cannot be read is its matter.
pub(crate) async fn read<T: Send + 'static>(
    bucket: &Bucket,
    what: &str,
    keys: Vec<String>,
    read: impl Fn(&str, &mut dyn BufRead) -> anyhow::Result<T> + Clone + Send + 'static,
    mut take: impl FnMut(&str, Result<T, Unread>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let count = keys.len() as u64;
    let (mut progress, mut read_bytes, mut read_objects) = (Progress::new(count), 0, 0);
    let results = stream::iter(keys).map(|key| {
        let read = read.clone();
        async move {
            let body = match body(bucket, &key).await? {
                Ok(body) => body,
                Err(unread) => return Ok((key, 0, Err(unread))),
            };
            let size = body.len() as u64;
            let parse = move || {
                let value =
                    lines(&key, body).and_then(|mut lines| read(&key, &mut lines).map_err(Unread::Damaged));
                (key, size, value)
            };
            anyhow::Ok(tokio::task::spawn_blocking(parse).await?)
        }
    });
    let mut results = results.buffer_unordered(READS);
    while let Some((key, size, value)) = results.try_next().await? {
        take(&key, value)?;
        (read_bytes, read_objects) = (read_bytes + size, read_objects + 1);
        progress.update(read_objects, || {
            let (done, all) = (HumanCount(read_objects), HumanCount(count));
            format!("{what}: {done} of {all} objects, {}", HumanBytes(read_bytes))
        });
    }
    Ok(())
}

/// The body of one object; the outer error is that of a bucket of which nothing can be read.
async fn body(bucket: &Bucket, key: &str) -> Result<Result<Bytes, Unread>, bucket::Error> {
    match get(bucket, key).await {
        Ok(body) => Ok(body.ok_or(Unread::Gone)),
        Err(error) if matches!(error.kind, Kind::Denied | Kind::Other) => Ok(Err(Unread::Refused(error))),
        Err(error) => Err(error),
    }
}

/// The lines of an object, unpacked as its name says.
fn lines(key: &str, body: Bytes) -> Result<Box<dyn BufRead>, Unread> {
    let body = Cursor::new(body);
    if key.ends_with(".ndjson.gz") {
        Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(body))))
    } else if key.ends_with(".ndjson") {
        Ok(Box::new(body))
    } else {
        Err(Unread::Format)
    }
}

/// Calls `each` with every line of `lines`, its line break left out.
pub(crate) fn for_each_line(
    lines: &mut dyn BufRead,
    mut each: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).context("it is damaged")? > 0 {
        each(line.strip_suffix(b"\n").ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?)?;
        line.clear();
    }
    Ok(())
}

/// Tries again for a while what may succeed by itself.
async fn persistently<T>(
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
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn read_all(key: &str, body: Vec<u8>) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for_each_line(&mut lines(key, body.into())?, |line| {
            found.push(String::from_utf8(line.to_vec())?);
            Ok(())
        })?;
        Ok(found)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_of_several_members_is_one_file() {
        let file = [gzip("a\nbb\n"), gzip("ccc\n")].concat();
        assert_eq!(read_all("x.ndjson.gz", file).unwrap(), ["a", "bb", "ccc"]);
        assert_eq!(read_all("x.ndjson", b"a\nbb\n".to_vec()).unwrap(), ["a", "bb"]);
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_an_error_and_not_less_data() {
        let whole = gzip("a\nbb\n");
        assert!(read_all("x.ndjson.gz", whole[..whole.len() - 3].to_vec()).is_err());
        assert!(read_all("x.ndjson", b"a\nbb".to_vec()).is_err());
        assert!(read_all("x.parquet", b"PAR1".to_vec()).is_err());
    }
}
