//! The bucket for a writer: every call tried again until it is answered, however long S3 is away.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use service::backoff::Backoff;
use service::{Component, clock};
use tokio::sync::Semaphore;

use crate::Kind;
use crate::bucket::{Bucket, Error};
use crate::metrics;
use crate::store::{Created, Head, NewObject, Store};

/// How many objects one process uploads at a time.
const UPLOADS: usize = 8;

/// After so long without an answer of S3 it is asked for one: nobody else may have a question.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// What S3 has answered says so much about it now: that question may time out once, and wait.
const ANSWER_IS_GOOD_FOR: Duration = Duration::from_secs(60);

/// Whether S3 answers, as seen by all writers together: down while any call is failing, up once one is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reachability {
    health: Component,
    failing: Arc<AtomicUsize>,
}

/// A [`Store`] that never gives up.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    bucket: Bucket,
    kind: Kind,
    reachability: Reachability,
    /// Shared by the writers.
    uploads: Arc<Semaphore>,
}

impl Reachability {
    /// Reports to `health`, which stays down until [`Reachability::wait_for`] has found the bucket.
    #[must_use]
    pub(crate) fn new(health: Component) -> Self {
        Self { health: health.good_for(ANSWER_IS_GOOD_FOR), failing: Arc::default() }
    }

    /// Returns once the bucket is there.
    pub(crate) async fn wait_for(&self, bucket: &Bucket) {
        self.until_answered(|_| bucket.check(), |_| ()).await;
    }

    /// Keeps what is known of S3 fresh; runs for ever.
    pub(crate) async fn keep_asking(&self, bucket: &Bucket) {
        loop {
            wait(ASK_EVERY).await;
            self.wait_for(bucket).await;
        }
    }

    /// Tries again until `attempt` is answered, which is told how many before it timed out; every failure is told to
    /// `failed`.
    async fn until_answered<T, F>(&self, mut attempt: impl FnMut(u32) -> F, failed: impl Fn(&Error)) -> T
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let (mut failing, mut timeouts) = (None, 0);
        loop {
            match attempt(timeouts).await {
                Ok(answer) => {
                    drop(failing);
                    if self.failing.load(Ordering::Relaxed) == 0 {
                        self.health.up();
                    }
                    self.health.detail_since("secondsSinceAnswer", clock::monotonic());
                    return answer;
                }
                Err(error) => {
                    failed(&error);
                    timeouts += u32::from(error.timed_out);
                    failing.get_or_insert_with(|| Failing::new(self));
                    self.health.down(error.outage());
                    wait(backoff.next_wait()).await;
                }
            }
        }
    }
}

/// A call that has failed and is tried again. Dropped when it is answered, or when nobody waits for it any longer: then
/// nothing is known of S3 that was not known before.
struct Failing<'a>(&'a Reachability);

impl<'a> Failing<'a> {
    fn new(reachability: &'a Reachability) -> Self {
        reachability.failing.fetch_add(1, Ordering::Relaxed);
        Self(reachability)
    }
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        self.0.failing.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two attempts is a pause")]
async fn wait(pause: Duration) {
    tokio::time::sleep(pause).await;
}

impl Patient {
    /// The bucket for the writer `kind`.
    #[must_use]
    pub(crate) fn new(bucket: Bucket, kind: Kind, reachability: Reachability) -> Self {
        Self { bucket, kind, reachability, uploads: Arc::new(Semaphore::new(UPLOADS)) }
    }

    /// The same bucket for another writer.
    #[must_use]
    pub(crate) fn with(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    async fn until_answered<T, F>(&self, attempt: impl FnMut(u32) -> F) -> T
    where
        F: Future<Output = Result<T, Error>>,
    {
        let failed = |error: &Error| {
            metrics::record_error(self.kind, error.kind);
            tracing::debug!(writer = %self.kind, %error, "will try again");
        };
        self.reachability.until_answered(attempt, failed).await
    }
}

impl Store for Patient {
    async fn create(&self, object: &NewObject) -> Created {
        self.until_answered(async |timeouts| {
            // Taken for one attempt only, so that uploads that fail do not keep others from trying.
            let _slot = self.uploads.acquire().await;
            let started = clock::monotonic();
            let created = self.bucket.create(object, timeouts).await;
            if created.is_ok() {
                metrics::record_put(self.kind, clock::monotonic() - started);
            }
            created
        })
        .await
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        self.until_answered(|_| self.bucket.get(key)).await
    }

    async fn head(&self, key: &str) -> Option<Head> {
        self.until_answered(|_| self.bucket.head(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let listed = self.until_answered(|_| self.bucket.list(prefix, after)).await;
        listed.into_iter().map(|object| object.key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use service::Health;
    use tokio::time::timeout;

    use super::*;
    use crate::bucket::tests::unanswered;

    fn reachability() -> (Health, Reachability) {
        let health = Health::default();
        let reachability = Reachability::new(health.component("s3"));
        (health, reachability)
    }

    #[tokio::test]
    async fn a_call_given_up_says_nothing_and_an_answer_says_up() {
        let (health, s3) = reachability();
        s3.until_answered(|_| ready(Ok(())), |_| ()).await;
        assert!(health.readiness().up);
        let fails = s3.until_answered(|_| ready(Err::<(), _>(unanswered(false))), |_| ());
        assert!(timeout(Duration::from_millis(20), fails).await.is_err());
        assert!(!health.readiness().up, "the call was given up, and S3 is away as before");
        s3.until_answered(|_| ready(Ok(())), |_| ()).await;
        assert!(health.readiness().up);
    }

    #[tokio::test]
    async fn an_answer_beside_a_call_that_fails_does_not_say_up() {
        let (health, s3) = reachability();
        let fails = s3.until_answered(|_| ready(Err::<(), _>(unanswered(false))), |_| ());
        let answered = async {
            s3.until_answered(|_| ready(Ok(())), |_| ()).await;
            assert!(!health.readiness().up);
        };
        let both = async { tokio::join!(fails, answered) };
        assert!(timeout(Duration::from_millis(20), both).await.is_err());
    }

    #[tokio::test]
    async fn only_attempts_that_timed_out_ask_for_patience() {
        let (_, s3) = reachability();
        let errors = [false, true, true].map(unanswered);
        let (mut errors, mut told) = (errors.into_iter(), Vec::new());
        s3.until_answered(
            |timeouts| {
                told.push(timeouts);
                ready(errors.next().map_or(Ok(()), Err))
            },
            |_| (),
        )
        .await;
        assert_eq!(told, [0, 0, 1, 2]);
    }
}
