//! Reading what the sink wrote: objects in parallel, their lines one by one.

use std::io::{self, BufRead, BufReader, Cursor};
use std::time::Duration;

use anyhow::{Context as _, bail};
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

/// The bucket of the configuration, if it is there.
pub(crate) async fn bucket(config: &Config) -> anyhow::Result<Bucket> {
    let bucket = Bucket::connect(&config.aws).await;
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

/// Reads `objects` on all cores: `read` gets the lines of each, `take` what `read` made of them, in any order.
pub(crate) async fn read<T: Send + 'static>(
    bucket: &Bucket,
    what: &str,
    objects: Vec<Listed>,
    read: impl Fn(&str, &mut dyn BufRead) -> anyhow::Result<T> + Clone + Send + 'static,
    mut take: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (total, count) = (objects.iter().map(|object| object.size).sum(), objects.len() as u64);
    let (mut progress, mut read_bytes, mut read_objects) = (Progress::new(total), 0, 0);
    let results = stream::iter(objects).map(|object| {
        let read = read.clone();
        async move {
            let body = get(bucket, &object.key).await?;
            let body = body.with_context(|| format!("{} was deleted while it was to be read", object.key))?;
            let parse = move || {
                let result = lines(&object.key, body).and_then(|mut lines| read(&object.key, &mut lines));
                result
                    .with_context(|| format!("cannot read {}", object.key))
                    .map(|value| (object.size, value))
            };
            tokio::task::spawn_blocking(parse).await?
        }
    });
    let mut results = results.buffer_unordered(READS);
    while let Some((size, value)) = results.try_next().await? {
        take(value)?;
        (read_bytes, read_objects) = (read_bytes + size, read_objects + 1);
        progress.update(read_bytes, || {
            let (done, all) = (HumanCount(read_objects), HumanCount(count));
            format!("{what}: {done} of {all} objects, {} of {}", HumanBytes(read_bytes), HumanBytes(total))
        });
    }
    Ok(())
}

/// The lines of an object, unpacked as its name says.
fn lines(key: &str, body: Bytes) -> anyhow::Result<Box<dyn BufRead>> {
    let body = Cursor::new(body);
    if key.ends_with(".ndjson.gz") {
        Ok(Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(body))))
    } else if key.ends_with(".ndjson") {
        Ok(Box::new(body))
    } else {
        bail!("this release reads ndjson and ndjson.gz only")
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
