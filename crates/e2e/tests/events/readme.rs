//! What the README promises to a stranger: its curls, its counts, and words for every mistake.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Answer, README_EVENT, answer, audit_ledger, counts, eventually, keys, lines, options, post};
use serde_json::{Value, json};
use stack::{Service, Stack};

const README: &str = include_str!("../../../../README.md");

#[tokio::test]
async fn the_readme_events_are_accepted_counted_and_stored() -> Result<()> {
    let stack = Stack::start(options("readme")?).await?;

    let (single_body, batch_body) = (body("/api/pageviews")?, body("/api/pageviews/batch")?);
    let single = post(&stack, "/api/pageviews", single_body).await?;
    assert_eq!((single.status, single.json), (202, json!({"accepted": 1})));
    let batch = post(&stack, "/api/pageviews/batch", batch_body).await?;
    assert_eq!((batch.status, batch.json), (202, json!({"accepted": 2})));

    let expected = rows()?;
    let within = Duration::from_secs(60);
    eventually("the counts of the README", within, async || {
        let counts = counts(&stack).await?;
        let rows = counts["rows"].as_array().cloned().context("no rows")?;
        ensure!(sorted(rows) == expected && counts["late"] == 0, "counts are {counts}");
        Ok(Some(()))
    })
    .await?;

    // Once the audit has seen everything arrive, what is in the bucket is all there will be.
    audit_ledger(&stack).await?;
    let mut events: Vec<Value> = serde_json::from_str(batch_body)?;
    events.push(serde_json::from_str(single_body)?);
    assert_eq!(events.len(), 3);
    assert_eq!(sorted(lines(&stack, "raw/").await?), sorted(events));
    assert_eq!(sorted(lines(&stack, "aggregates/").await?), expected);
    assert_eq!(keys(&stack, "late/").await?, [""; 0]);
    assert_eq!(keys(&stack, "dead-letter/").await?, [""; 0]);

    bad_requests_are_refused_in_words(&stack).await?;
    health_and_metrics_answer(&stack).await?;
    stack.stop().await?;
    Ok(())
}

/// What the README's curl for `path` sends.
fn body(path: &str) -> Result<&'static str> {
    let body = README.split_once(&format!("http://localhost:8080{path} \\\n")).and_then(|(_, curl)| {
        let (_, body) = curl.split_once("-d '")?;
        Some(body.split_once('\'')?.0)
    });
    body.with_context(|| format!("the README has no curl for {path}"))
}

/// The rows that the README promises.
fn rows() -> Result<Vec<Value>> {
    let rows = README.lines().filter(|line| line.starts_with(r#"{"postcode":"#));
    let rows = sorted(rows.map(serde_json::from_str).collect::<Result<_, _>>()?);
    ensure!(!rows.is_empty(), "the README shows no rows");
    Ok(rows)
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(Value::to_string);
    values
}

/// Each mistake has its status, and a detail that holds these words.
async fn bad_requests_are_refused_in_words(stack: &Stack) -> Result<()> {
    let huge = format!("[{}]", vec![README_EVENT; 90_000].join(","));
    let many = format!("[{}]", vec![README_EVENT; 10_001].join(","));
    let cases: &[(&str, &str, u16, &str)] = &[
        ("/api/pageviews", "{\"user_id\":", 400, "not valid JSON"),
        ("/api/pageviews", "{}", 400, "missing"),
        ("/api/pageviews", &README_EVENT.replace("1234", "-1"), 400, "whole number"),
        ("/api/pageviews", &README_EVENT.replace("SW19", "?"), 400, "letters"),
        ("/api/pageviews", &README_EVENT.replace("1611662684", "1611662684000"), 400, "milliseconds"),
        (
            "/api/pageviews",
            &README_EVENT.replace("1611662684", "9999999999"),
            400,
            "ahead of this server's clock",
        ),
        ("/api/pageviews", body("/api/pageviews/batch")?, 400, "/api/pageviews/batch"),
        ("/api/pageviews", &README_EVENT.replace("index", &"x".repeat(80_000)), 413, "too large"),
        ("/api/pageviews/batch", "[]", 400, "empty"),
        ("/api/pageviews/batch", README_EVENT, 400, "array"),
        ("/api/pageviews/batch", &huge, 413, "too large"),
        ("/api/pageviews/batch", &many, 413, "at most 10000"),
        ("/api/pageview", README_EVENT, 404, "/api/pageviews"),
    ];
    for (path, body, status, words) in cases {
        let answer = post(stack, path, (*body).to_owned()).await?;
        check_problem(&answer, *status, words);
    }
    let url = format!("{}/api/pageviews", stack.api_url());
    let client = reqwest::Client::new();
    check_problem(&answer(client.get(&url)).await?, 405, "POST");
    check_problem(&answer(client.delete(&url)).await?, 405, "POST");
    let xml = client.post(&url).header("content-type", "application/xml").body("<a/>");
    check_problem(&answer(xml).await?, 415, "application/json");
    let beacon =
        client.post(&url).header("content-type", "text/plain").body(README_EVENT.replace("SW19", "N1"));
    assert_eq!(answer(beacon).await?.status, 202, "sendBeacon's text/plain is JSON too");
    Ok(())
}

fn check_problem(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.content_type, "application/problem+json", "{answer:?}");
    assert!(answer.json.to_string().contains(words), "{words:?} is not in {answer:?}");
}

async fn health_and_metrics_answer(stack: &Stack) -> Result<()> {
    for service in Service::ALL {
        let base = stack.management_url(service, 1);
        for path in ["/actuator/health", "/actuator/health/liveness", "/actuator/health/readiness"] {
            let response = reqwest::get(format!("{base}{path}")).await?;
            assert_eq!(response.status(), 200, "{service} {path}");
            assert!(response.text().await?.starts_with(r#"{"status":"UP""#), "{service} {path}");
        }
        let metrics = reqwest::get(format!("{base}/metrics")).await?.text().await?;
        assert!(metrics.contains("process_resident_memory_bytes"), "{service}: {metrics}");
    }
    let metrics = reqwest::get(format!("{}/metrics", stack.api_url())).await?.text().await?;
    assert!(metrics.contains("pageviews_produced_total"), "{metrics}");
    Ok(())
}
