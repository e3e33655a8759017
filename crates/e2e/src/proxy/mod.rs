//! A proxy between the sinks and S3 that refuses, loses, delays and holds what it is told to.
//!
//! ```text
//!  s3-sink ──> serve ──> rule: which act? ──> forward ──> S3
//!    <── refusal, reset, nothing ──┘   └── hold: waits for the test, before or after
//! ```
//! Everything else on the stack, the audit above all, reaches S3 directly.

mod forward;
mod hold;
mod refusal;
mod rule;
mod serve;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use stack::{Service, Stack};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use hold::{Held, Hold, Moment};
pub use rule::{Fault, Often, Requests, Rule};

use rule::{Act, Rules};

/// Where the sinks look for S3.
const ENDPOINT: &str = "PAGEVIEW_AWS__S3__ENDPOINT_OVERRIDE";

/// The proxy. It ends when this is dropped.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// What the connections share.
struct Shared {
    /// S3's host and port.
    upstream: String,
    rules: Mutex<Rules>,
    away: watch::Sender<bool>,
}

impl Proxy {
    /// Stands before the S3 of `stack`, for every sink that is started from now on. Its dice are thrown from `seed`.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn before(stack: &Stack, seed: u64) -> Result<Self> {
        let proxy = Self::beside(stack, seed).await?;
        stack.set_env(Service::S3Sink, ENDPOINT, &proxy.url);
        Ok(proxy)
    }

    /// Leads to the AWS emulator of `stack`, for whoever is sent here.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn beside(stack: &Stack, seed: u64) -> Result<Self> {
        let endpoint = stack.s3_endpoint();
        let upstream = endpoint.strip_prefix("http://").context("an endpoint that is not http")?.to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            upstream,
            rules: Mutex::new(Rules::new(seed)),
            away: watch::Sender::new(false),
        });
        let serving = tokio::spawn(serve::serve(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, serving })
    }

    /// Its address, which stands in what the sinks say of S3.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on these rules hold, and none of earlier: the first that matches a request, and whose turn it is, decides
    /// what happens to it.
    pub fn play(&self, rules: impl IntoIterator<Item = Rule>) {
        self.shared.rules().replace(rules);
    }

    /// Nothing more happens to requests that come from now on.
    pub fn calm(&self) {
        self.play([]);
    }

    /// Holds every one of `requests` at `moment`, over all rules, for as long as the answer lives.
    #[must_use]
    pub fn hold(&self, requests: Requests, moment: Moment) -> Hold {
        let (hold, holder) = hold::channel();
        self.shared.rules().hold(requests, moment, holder);
        hold
    }

    /// S3 is away: open connections are reset, new ones are too. Or it is back.
    pub fn set_away(&self, away: bool) {
        self.shared.away.send_replace(away);
    }

    /// How often each fault has happened to a request so far.
    #[must_use]
    pub fn happened(&self) -> BTreeMap<Fault, u64> {
        self.shared.rules().happened()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, method: &hyper::Method, key: &str) -> Act {
        self.rules().act(method, key)
    }
}
