//! The audit on a bucket that others have been in: it says what is wrong with which object, and all the rest besides.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::{Load, audit, delete, keys, options, put};
use serde_json::Value;
use stack::Stack;

#[tokio::test]
async fn what_others_did_to_the_bucket_is_found_and_hides_nothing() -> Result<()> {
    let stack = Stack::start(options("audit")?).await?;
    // Events of past minutes: their windows are closed as soon as the load has ended.
    let load = ["--rate", "200", "--duration", "2s", "--batch", "10", "--late", "100"];
    let report = Load::start(&stack, "audit", &load).await?.end().await?;
    let whole = audit(&stack, report.receipts()).await?;

    let foreign = ["aggregates/_SUCCESS", "raw/damaged.ndjson.gz"];
    for key in foreign {
        put(&stack, key, "no gzip").await?;
    }
    let (code, found) = judge(&stack, report.receipts()).await?;
    ensure!(code == Some(1) && found["verdict"] == "violated", "{code:?}: {found}");
    ensure!(names(&found) == names(&whole), "the audit ended early: {found}");
    for key in foreign {
        ensure!(findings(&found).contains(&format!("{key} was not written by the sink")), "{key}: {found}");
        delete(&stack, key).await?;
    }
    ensure!(findings(&found).contains("raw/damaged.ndjson.gz cannot be read"), "{found}");

    for key in keys(&stack, "ledger/").await? {
        delete(&stack, &key).await?;
    }
    let (code, found) = judge(&stack, report.receipts()).await?;
    ensure!(code == Some(2) && found["verdict"] == "not_provable", "{code:?}: {found}");
    for words in ["has no genesis", "is claimed by no sink", "lies beyond the ledger"] {
        ensure!(findings(&found).contains(words), "{words}: {found}");
    }
    stack.stop().await?;
    Ok(())
}

/// The audit's exit code and verdict, as things are.
async fn judge(stack: &Stack, receipts: &Path) -> Result<(Option<i32>, Value)> {
    let receipts = receipts.to_str().context("a path that is not UTF-8")?;
    let output = stack.cli(&["audit", "--json", "--receipts", receipts]).await?;
    let verdict = serde_json::from_slice(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), verdict.with_context(|| format!("no verdict: {words}"))?))
}

/// What is checked.
fn names(verdict: &Value) -> Vec<&Value> {
    verdict["checks"].as_array().into_iter().flatten().map(|check| &check["name"]).collect()
}

fn findings(verdict: &Value) -> String {
    let checks = verdict["checks"].as_array().into_iter().flatten();
    checks.map(|check| check["findings"].to_string()).collect()
}
