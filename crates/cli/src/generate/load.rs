//! The connections of a load: each sends a request, waits for its answer, writes the receipt, and sends the next.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url, redirect, retry};
use serde::Deserialize;
use service::backoff::Backoff;
use service::{Shutdown, clock};

use super::events::Recipe;
use super::journal::Journal;
use super::pace::{Pace, Request};
use super::tally::{Outcome, Tally};
use super::timeline::Timeline;

/// How long an answer may take: longer than the API itself waits for Kafka.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest waits between requests while they fail: at first, and in the end.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How much of a refusal is shown.
const WORDS: usize = 300;

/// What all connections share.
pub(super) struct Load {
    client: Client,
    url: Url,
    recipe: Recipe,
    timeline: Timeline,
    pace: Mutex<Pace>,
    journal: Journal,
    accepted: AtomicU64,
    start: Instant,
    shutdown: Shutdown,
}

impl Load {
    pub(super) fn new(
        url: Url,
        recipe: Recipe,
        timeline: Timeline,
        pace: Pace,
        journal: Journal,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        // A request goes out once, and to where it was sent: a copy of it would be counted too.
        let client = Client::builder().no_proxy().retry(retry::never()).redirect(redirect::Policy::none());
        Ok(Self {
            client: client.timeout(TIMEOUT).tcp_nodelay(true).build()?,
            url,
            recipe,
            timeline,
            pace: Mutex::new(pace),
            journal,
            accepted: AtomicU64::new(0),
            start: clock::monotonic(),
            shutdown,
        })
    }

    /// Sends one request after the other until the load is over.
    pub(super) async fn connection(&self) -> anyhow::Result<Tally> {
        let mut tally = Tally::new()?;
        let mut buffer = BytesMut::new();
        let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
        while let Some(request) = self.next_request() {
            self.pause(request.due.saturating_sub(self.elapsed())).await;
            if self.shutdown.requested() {
                break;
            }
            let time = self.timeline.time_of(request, clock::now());
            self.recipe.write_body(request, time, &mut buffer);
            let sent = clock::monotonic();
            // The allocation comes back to `buffer` once the client has let go of the body.
            let (outcome, words) = self.send(buffer.split().freeze(), request).await;
            self.journal.write(request, outcome.answer())?;
            tally.record(outcome, request.count, sent.elapsed(), words);
            if outcome == Outcome::Accepted {
                self.accepted.fetch_add(request.count, Ordering::Relaxed);
                backoff.reset();
            } else {
                self.pause(backoff.next_wait()).await;
            }
        }
        Ok(tally)
    }

    /// Since the load began.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Events accepted so far.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Closes the receipts: no connection is left, so every answer is in them.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        self.journal.finish(self.pace.lock().unwrap_or_else(PoisonError::into_inner).handed_out())
    }

    fn next_request(&self) -> Option<Request> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).next(self.elapsed())
    }

    async fn send(&self, body: Bytes, request: Request) -> (Outcome, Option<String>) {
        let mut post = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(key) = self.recipe.key(request) {
            post = post.header("Idempotency-Key", key);
        }
        let response = match post.body(body).send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return (Outcome::Unreached, Some(root(&error))),
            Err(error) => return (Outcome::Lost, Some(root(&error))),
        };
        let status = response.status().as_u16();
        match response.bytes().await {
            Ok(body) => {
                let outcome = Outcome::of(status, accepted(&body), request.count);
                (outcome, (outcome != Outcome::Accepted).then(|| words(&body)))
            }
            Err(error) => (Outcome::Lost, Some(root(&error))),
        }
    }

    /// Waits, but not longer than the load goes on.
    #[expect(clippy::disallowed_methods, reason = "a rate is kept by waiting")]
    async fn pause(&self, wait: Duration) {
        if !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shutdown.wait() => {}
            }
        }
    }
}

/// The number in `{"accepted":n}`.
fn accepted(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Body {
        accepted: u64,
    }
    serde_json::from_slice(body).ok().map(|Body { accepted }| accepted)
}

/// The beginning of an answer that refuses.
fn words(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(WORDS)]).into_owned()
}

/// The innermost cause: what the operating system said.
fn root(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}
