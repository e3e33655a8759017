//! Tests that break the real stack: Apache Kafka, an S3 emulator and our services, as plain processes.
//!
//! Each test file is one promise. This library is what they share: a stack with quick windows, load that keeps
//! receipts, and two judges: the audit, and a recount that trusts nothing of ours.

mod browser;
mod bucket;
mod flood;
mod foreign;
mod group;
mod health;
mod length;
mod load;
mod memory;
mod metric;
mod only_broker;
mod past;
mod proxy;
mod recount;
mod seed;
mod topic;
mod wait;
mod wire;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stack::{Options, Stack};

pub use browser::Browser;
pub use bucket::{Stored, byte_lines, create_bucket, delete, fetch, keys, lines, put, store};
pub use flood::flood;
pub use foreign::{Foreign, ForeignHeader, produce};
pub use group::{Group, Offsets};
pub use health::trouble;
pub use length::length;
pub use load::{Load, Report};
pub use memory::peak_memory;
pub use metric::{metric, metric_at};
pub use only_broker::kill_only_broker;
pub use past::minutes_ago;
pub use proxy::{Fault, Held, Hold, Moment, Often, Proxy, Requests, Rule};
pub use recount::{Counts, Recount, recount, sums};
pub use seed::seed;
pub use topic::{Ends, read};
pub use wait::{at_some_moment, eventually, for_a_while};
pub use wire::{Wire, WireAnswer};

/// What the README posts, and what it promises to be counted.
pub const README_EVENT: &str = include_str!("../../model/fixtures/pageview.json");

/// A stack of its own for the test `name`, with windows that close within seconds.
///
/// # Errors
/// When the machine lacks something; the error says what.
pub fn options(name: &str) -> Result<Options> {
    Ok(Options::test(name)?)
}

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type, empty if there was none.
    pub content_type: String,
    /// The body, null if it was no JSON.
    pub json: Value,
}

/// Posts `body` as JSON to `path` of the API.
///
/// # Errors
/// When nobody answers.
pub async fn post(stack: &Stack, path: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
    let request = reqwest::Client::new().post(format!("{}{path}", stack.api_url()));
    answer(request.header("content-type", "application/json").body(body)).await
}

/// Sends `request`.
///
/// # Errors
/// When nobody answers.
pub async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let header = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = header.unwrap_or_default().to_owned();
    let json = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
    Ok(Answer { status, content_type, json })
}

/// The counts as `pageviews counts --json` tells them.
///
/// # Errors
/// When the command fails; what it wrote is in the error.
pub async fn counts(stack: &Stack) -> Result<Value> {
    let output = stack.cli(&["counts", "--json"]).await?;
    ensure!(output.status.success(), "counts failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("counts --json wrote no JSON")
}

/// Ends `load` in order, and has both judges look at what has become of it: the audit, with its receipts, and the recount.
/// For events that are all different.
///
/// # Errors
/// When one of them finds something.
pub async fn conclude(stack: &Stack, load: Load) -> Result<Report> {
    let report = load.stop(stack).await?;
    println!("{}", report.text);
    println!("{}", audit(stack, report.receipts()).await?);
    println!("{:?}", recount(stack).await?);
    Ok(report)
}

/// The promise, as the audit judges it once the pipeline is quiet and every window is closed: every accepted event in
/// `receipts` is in `raw/` once and counted once.
///
/// # Errors
/// When it is violated or cannot be proved; the whole verdict is in the error.
pub async fn audit(stack: &Stack, receipts: &Path) -> Result<Value> {
    let receipts = receipts.to_str().context("a path that is not UTF-8")?;
    audit_with(stack, &["--receipts", receipts]).await
}

/// [`audit`] of events that no load generator has sent: it takes the ledger's word for what is in `raw/`.
///
/// # Errors
/// When the promise is violated or cannot be proved.
pub async fn audit_ledger(stack: &Stack) -> Result<Value> {
    audit_with(stack, &[]).await
}

/// Events in open windows are accounted for, but no row shows them yet: a test waits for the rows. The last minute of a
/// load is closed a moment after its end.
async fn audit_with(stack: &Stack, arguments: &[&str]) -> Result<Value> {
    eventually("every window is closed", Duration::from_secs(90), async || {
        match judge(stack, arguments).await {
            Ok(verdict) if is_open(&verdict) => Ok(None),
            verdict => Ok(Some(verdict)),
        }
    })
    .await?
}

fn is_open(verdict: &Value) -> bool {
    let open = verdict["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|check| check["numbers"]["open"].as_u64());
    open.sum::<u64>() > 0
}

async fn judge(stack: &Stack, arguments: &[&str]) -> Result<Value> {
    let output = stack.cli(&[&["audit", "--wait", "120s", "--json"], arguments].concat()).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the audit says {:?}:\n{text}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&text).context("audit --json wrote no JSON")
}
