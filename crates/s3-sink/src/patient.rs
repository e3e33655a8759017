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

/// Whether S3 answers, as seen by all writers together: down while any call is failing.
#[derive(Debug, Clone)]
pub(crate) struct Reachability {
    health: Component,
    failing: Arc<AtomicUsize>,
    uploads: Arc<Semaphore>,
}

/// A [`Store`] that never gives up.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    bucket: Bucket,
    kind: Kind,
    reachability: Reachability,
}

impl Reachability {
    /// Reports to `health`, which stays down until [`Reachability::wait_for`] has found the bucket.
    #[must_use]
    pub(crate) fn new(health: Component) -> Self {
        Self { health, failing: Arc::default(), uploads: Arc::new(Semaphore::new(UPLOADS)) }
    }

    /// Returns once the bucket is there.
    pub(crate) async fn wait_for(&self, bucket: &Bucket) {
        self.until_answered(|| bucket.check(), |_| ()).await;
        self.health.up();
    }

    /// Tries again until `attempt` is answered; every failure is told to `failed`.
    async fn until_answered<T, F>(&self, mut attempt: impl FnMut() -> F, failed: impl Fn(&Error)) -> T
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut failing = None;
        loop {
            match attempt().await {
                Ok(answer) => return answer,
                Err(error) => {
                    failed(&error);
                    failing.get_or_insert_with(|| Failing::new(self));
                    self.health.down(error.to_string());
                    wait(backoff.next_wait()).await;
                }
            }
        }
    }
}

/// A call that has failed and is tried again. Dropped when it succeeds, or when nobody waits for it any longer.
struct Failing<'a>(&'a Reachability);

impl<'a> Failing<'a> {
    fn new(reachability: &'a Reachability) -> Self {
        reachability.failing.fetch_add(1, Ordering::Relaxed);
        Self(reachability)
    }
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if self.0.failing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.health.up();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the pause between two attempts is a pause")]
async fn wait(pause: Duration) {
    tokio::time::sleep(pause).await;
}

impl Patient {
    /// The bucket for the writer `kind`.
    #[must_use]
    pub(crate) const fn new(bucket: Bucket, kind: Kind, reachability: Reachability) -> Self {
        Self { bucket, kind, reachability }
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    async fn until_answered<T, F>(&self, attempt: impl FnMut() -> F) -> T
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
        self.until_answered(async || {
            // Taken for one attempt only, so that uploads that fail do not keep others from trying.
            let _slot = self.reachability.uploads.acquire().await;
            let started = clock::monotonic();
            let created = self.bucket.create(object).await;
            if created.is_ok() {
                metrics::record_put(self.kind, clock::monotonic() - started);
            }
            created
        })
        .await
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        self.until_answered(|| self.bucket.get(key)).await
    }

    async fn head(&self, key: &str) -> Option<Head> {
        self.until_answered(|| self.bucket.head(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let listed = self.until_answered(|| self.bucket.list(prefix, after)).await;
        listed.into_iter().map(|object| object.key).collect()
    }
}
