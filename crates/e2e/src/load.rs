//! Load by `pageviews generate`, which notes what was answered 202.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stack::{Broker, Signal, Stack};
use tokio::process::Child;

/// A load generator in the background.
#[derive(Debug)]
pub struct Load {
    child: Child,
    receipts: PathBuf,
}

impl Load {
    /// Starts it, with these further arguments; its receipts lie beside the stack's logs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(stack: &Stack, name: &str, arguments: &[&str]) -> Result<Self> {
        let receipts = stack.logs_dir().join(format!("{name}.receipts"));
        let path = receipts.to_str().context("a path that is not UTF-8")?.to_owned();
        let fixed = ["generate", "--json", "--url", &stack.api_url(), "--receipts", &path];
        let child = stack.cli_child(&[&fixed[..], arguments].concat()).await?;
        Ok(Self { child, receipts })
    }

    /// One that somebody else has started, with `generate --json --receipts`.
    #[must_use]
    pub const fn of(child: Child, receipts: PathBuf) -> Self {
        Self { child, receipts }
    }

    /// Ends it early: what it has sent is answered, and noted; what it reported.
    ///
    /// # Errors
    /// When it has ended by itself, or failed.
    pub async fn stop(self, stack: &Stack) -> Result<Report> {
        stack.signal_child(&self.child, Signal::Term)?;
        self.end().await
    }

    /// [`Load::stop`], of one that no stack has started.
    ///
    /// # Errors
    /// When it has ended by itself, or failed.
    pub async fn terminate(self) -> Result<Report> {
        Broker::signal(&self.child, Signal::Term)?;
        self.end().await
    }

    /// Waits for its end; what it reported.
    ///
    /// # Errors
    /// When it failed.
    pub async fn end(self) -> Result<Report> {
        let output = self.child.wait_with_output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the load generator failed: {text}\n{words}");
        let json: Value = serde_json::from_str(&text).context("generate --json wrote no JSON")?;
        let outcomes = outcomes(&json).with_context(|| format!("not the report of a load: {text}"))?;
        Ok(Report { receipts: self.receipts, outcomes, text: text + &words })
    }
}

/// What a load generator left behind.
#[derive(Debug)]
pub struct Report {
    /// The file that says which events were answered 202.
    pub receipts: PathBuf,
    /// How many requests ended how: as `accepted 202`, `unavailable 503`, `lost` (reset, or no answer), `unreached`.
    pub outcomes: BTreeMap<String, u64>,
    /// What it printed.
    pub text: String,
}

fn outcomes(report: &Value) -> Option<BTreeMap<String, u64>> {
    let outcome = |line: &Value| {
        let (name, requests) = (line["outcome"].as_str()?, line["requests"].as_u64()?);
        let name = match line["status"].as_u64() {
            Some(status) => format!("{name} {status}"),
            None => name.to_owned(),
        };
        Some((name, requests))
    };
    report["outcomes"].as_array()?.iter().map(outcome).collect()
}

impl Report {
    /// The file that says which events were answered 202.
    #[must_use]
    pub fn receipts(&self) -> &Path {
        &self.receipts
    }
}
