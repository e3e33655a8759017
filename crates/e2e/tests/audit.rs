//! The audit on a bucket that others have been in: it says what is wrong with which object, and all the rest besides.

use anyhow::{Context, Result, ensure};
use e2e::{Load, audit, delete, fetch, keys, options, put, store};
use serde_json::Value;
use stack::Stack;

#[tokio::test]
async fn what_others_did_to_the_bucket_is_found_and_hides_nothing() -> Result<()> {
    let stack = Stack::start(options("audit")?).await?;
    // Events of past minutes: their windows are closed as soon as the load has ended.
    let load = ["--rate", "200", "--duration", "2s", "--batch", "10", "--late", "100"];
    let report = Load::start(&stack, "audit", &load).await?.end().await?;
    let whole = audit(&stack, report.receipts()).await?;
    let receipts = report.receipts().to_str().context("a path that is not UTF-8")?;

    let foreign = ["aggregates/_SUCCESS", "raw/damaged.ndjson.gz"];
    for key in foreign {
        put(&stack, key, "no gzip").await?;
    }
    let (code, found) = judge(&stack, &["--receipts", receipts]).await?;
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
    let (code, found) = judge(&stack, &["--receipts", receipts]).await?;
    ensure!(code == Some(2) && found["verdict"] == "not_provable", "{code:?}: {found}");
    for words in ["has no genesis", "is claimed by no sink", "lies beyond the ledger"] {
        ensure!(findings(&found).contains(words), "{words}: {found}");
    }
    stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn one_byte_that_another_has_written_is_found_by_the_deep_audit_alone() -> Result<()> {
    let stack = Stack::start(options("audit-deep")?).await?;
    let load =
        ["--rate", "500", "--duration", "4s", "--batch", "10", "--history", "5m", "--late", "30", "--ids"];
    let report = Load::start(&stack, "audit-deep", &load).await?.end().await?;
    audit(&stack, report.receipts()).await?;
    let (code, whole) = judge(&stack, &["--deep"]).await?;
    ensure!(code == Some(0) && whole["verdict"] == "ok", "{code:?}: {whole}");
    let events = number(&whole, "every minute is counted right", "events");
    ensure!(events > 1000 && events == number(&whole, "every event is counted once", "raw"), "{whole}");
    ensure!(number(&whole, "the objects are what the topics hold", "older") == 0, "{whole}");

    let key = keys(&stack, "raw/").await?.pop().context("no object in raw/")?;
    let written = fetch(&stack, &key).await?;
    let tampered = written.with_text(|text| {
        // The last byte but `}` and the line break: a digit of a time, or a letter of an id.
        let byte = text.len() - 4;
        text[byte] ^= 1;
    })?;
    store(&stack, &key, &tampered).await?;
    let (code, quick) = judge(&stack, &[]).await?;
    ensure!(code == Some(0), "the ledger's word is what the quick audit takes: {quick}");
    let (code, found) = judge(&stack, &["--deep"]).await?;
    ensure!(code == Some(1) && found["verdict"] == "violated", "{code:?}: {found}");
    ensure!(names(&found) == names(&whole), "the audit ended early: {found}");
    ensure!(findings(&found).contains(&format!("{key}: its content is sha256:")), "{found}");
    ensure!(findings(&found).contains("records, the objects"), "the topic has other records: {found}");

    // What lies outside of the time asked for is not looked at, and that is said.
    let (code, elsewhere) = judge(&stack, &["--deep", "--to", "2001-01-01"]).await?;
    ensure!(
        code == Some(2) && findings(&elsewhere).contains("nothing of times before 2001-01-01"),
        "{elsewhere}"
    );
    let (code, here) = judge(&stack, &["--deep", "--from", "2001-01-01"]).await?;
    ensure!(code == Some(1) && findings(&here).contains(&key), "{here}");

    store(&stack, &key, &written).await?;
    let (code, restored) = judge(&stack, &["--deep"]).await?;
    ensure!(code == Some(0) && restored["verdict"] == "ok", "{code:?}: {restored}");
    stack.stop().await?;
    Ok(())
}

/// The audit's exit code and verdict, as things are.
async fn judge(stack: &Stack, arguments: &[&str]) -> Result<(Option<i32>, Value)> {
    let output = stack.cli(&[&["audit", "--json"], arguments].concat()).await?;
    let verdict = serde_json::from_slice(&output.stdout);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), verdict.with_context(|| format!("no verdict: {words}"))?))
}

/// One of the numbers of a check.
fn number(verdict: &Value, check: &str, number: &str) -> u64 {
    let mut checks = verdict["checks"].as_array().into_iter().flatten();
    checks
        .find(|other| other["name"] == check)
        .and_then(|check| check["numbers"][number].as_u64())
        .unwrap_or(0)
}

/// What is checked.
fn names(verdict: &Value) -> Vec<&Value> {
    verdict["checks"].as_array().into_iter().flatten().map(|check| &check["name"]).collect()
}

fn findings(verdict: &Value) -> String {
    let checks = verdict["checks"].as_array().into_iter().flatten();
    checks.map(|check| check["findings"].to_string()).collect()
}
