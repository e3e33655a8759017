//! What an operator does to a pipeline that runs: forgets users, sends dead letters back, counts a minute again. Each can
//! be broken off and done again, and the audit agrees with all of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::{
    Foreign, audit_ledger, byte_lines, eventually, fetch, keys, lines, minutes_ago, options, post, produce,
    sums,
};
use model::{Postcode, Window, topic};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};
use stack::{Service, Stack};

/// How long Kafka may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Whom to forget.
const FORGOTTEN: u64 = 77;
/// More dead letters than one transaction of `redrive` holds.
const DEAD: u64 = 1_500;
/// Those that are not the forgotten user's.
const LEFT: u64 = DEAD - 1;
/// The postcode that is mended, as it came.
const WRONG: &str = "SW_19";

#[tokio::test]
async fn a_user_is_forgotten_and_dead_letters_are_counted_after_all() -> Result<()> {
    let mut stack = Stack::start(options("operate")?).await?;
    let minute = minutes_ago(5)?;
    let events: Vec<_> = (0..200).map(|user| event("SW19", minute, user % 100)).collect();
    let answer = post(&stack, "/api/pageviews/batch", json!(events).to_string()).await?;
    ensure!(answer.status == 202, "{answer:?}");
    produce(&stack, topic::PAGEVIEWS, "lz4", foreign(minute)).await?;
    audit_ledger(&stack).await?;

    backfill(&mut stack, minute).await?;
    audit_ledger(&stack).await?;
    forget(&stack).await?;
    let sums_before = sums(&stack).await?;
    audit_ledger(&stack).await?;
    // The sink knows its objects by their metadata: a restart finds everything as it was left.
    stack.restart(Service::S3Sink).await?;

    redrive(&stack, minute).await?;
    audit_ledger(&stack).await?;
    let n1 = (Postcode::parse("N1")?, minute);
    let mut expected = sums_before;
    *expected.entry(n1).or_default() += LEFT;
    ensure!(sums(&stack).await? == expected, "counted: {:?}, expected: {expected:?}", sums(&stack).await?);
    stack.stop().await?;
    Ok(())
}

/// Records that are no events, and one event that NDJSON cannot carry.
fn foreign(minute: Window) -> Vec<Foreign> {
    let malformed = (0..DEAD).map(|user| (WRONG, event(WRONG, minute, user).to_string()));
    let broken = event("SW19", minute, FORGOTTEN).to_string().replacen(',', ",\n", 1);
    let record = |(key, value): (&str, String)| Foreign {
        key: Some(key.as_bytes().to_vec()),
        value: Some(value.into_bytes()),
        ..Foreign::default()
    };
    malformed.chain([("SW19", broken)]).map(record).collect()
}

/// A count that is too high, and events that were never counted.
async fn backfill(stack: &mut Stack, minute: Window) -> Result<()> {
    let (from, to) = (minute.to_string(), Window::containing(minute.end()).to_string());
    let compare = ["backfill", "--from", &from, "--to", &to];
    let (code, clean) = run(stack, &compare).await?;
    ensure!(
        code == Some(0) && clean["minutes"] == 1 && clean["differences"] == json!([]),
        "{code:?} {clean}"
    );

    let row = json!({"postcode": "SW19", "window_start": from, "pageview_count": 7}).to_string();
    let row = Foreign { key: Some(b"SW19".to_vec()), value: Some(row.into_bytes()), ..Foreign::default() };
    produce(stack, topic::LATE, "none", vec![row]).await?;
    let (code, high) = run(stack, &[&compare[..], &["--wait", "60s", "--write", "missing"]].concat()).await?;
    ensure!(code == Some(1) && high["excess"] == 7 && high["sent"] == 0, "{code:?} {high}");
    let (code, written) = run(stack, &[&compare[..], &["--write", "recount"]].concat()).await?;
    ensure!(code == Some(0), "{code:?} {written}");
    let expected = json!({"postcode": "SW19", "window_start": from, "pageview_count": 201});
    ensure!(lines(stack, "recount/").await? == [expected], "{written}");

    // Fifty more than the row made up.
    stack.scale(Service::Aggregator, 0).await?;
    let events: Vec<_> = (0..57).map(|user| event("SW19", minute, 1_000 + user)).collect();
    let answer = post(stack, "/api/pageviews/batch", json!(events).to_string()).await?;
    ensure!(answer.status == 202, "{answer:?}");
    skip_to_the_end(stack).await?;
    stack.scale(Service::Aggregator, 1).await?;
    let (code, low) = run(stack, &[&compare[..], &["--wait", "60s"]].concat()).await?;
    ensure!(code == Some(1) && low["missing"] == 50 && low["excess"] == 0, "{code:?} {low}");
    let mend = [&compare[..], &["--wait", "60s", "--write", "missing"]].concat();
    let (code, mended) = run(stack, &mend).await?;
    ensure!(code == Some(0) && mended["sent"] == 1, "{code:?} {mended}");
    // It waits for the sink, and finds nothing any more.
    let (code, again) = run(stack, &mend).await?;
    ensure!(code == Some(0) && again["sent"] == 0 && again["differences"] == json!([]), "{code:?} {again}");
    Ok(())
}

/// Sets what the aggregator has committed to the end of its topic, as somebody does who resets offsets by hand: what it
/// has not read is never counted.
async fn skip_to_the_end(stack: &Stack) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka_bootstrap())
        .set("group.id", "pageview-aggregator")
        .create()?;
    let skip = move || {
        let mut asked = TopicPartitionList::new();
        for partition in 0..6 {
            asked.add_partition(topic::PAGEVIEWS, partition);
        }
        let mut skipped = TopicPartitionList::new();
        for committed in consumer.committed_offsets(asked, TIMEOUT)?.elements() {
            let (_, end) = consumer.fetch_watermarks(topic::PAGEVIEWS, committed.partition(), TIMEOUT)?;
            let Some((_, rest)) = committed.metadata().split_once(" closed=") else { continue };
            let mut element = skipped.add_partition(topic::PAGEVIEWS, committed.partition());
            element.set_offset(Offset::Offset(end))?;
            element.set_metadata(format!("v1 next={end} closed={rest}"));
        }
        Ok(consumer.commit(&skipped, CommitMode::Sync)?)
    };
    tokio::task::spawn_blocking(skip).await?
}

async fn forget(stack: &Stack) -> Result<()> {
    let folders = ["raw/", "dead-letter/raw/", "dead-letter/topic/"];
    let user = FORGOTTEN.to_string();
    let before = all_lines(stack, &folders).await?;
    let keys_before = keys(stack, "").await?;
    // Two that were posted, the malformed one in raw/ and among the dead letters, and the one with a line break.
    ensure!(theirs(&before) == 5, "{} of {} lines", theirs(&before), before.len());

    let unasked = stack.cli(&["forget", "--user-id", &user]).await?;
    ensure!(unasked.status.code() == Some(64), "it erases unasked: {unasked:?}");
    let (code, planned) = run(stack, &["forget", "--user-id", &user, "--dry-run"]).await?;
    ensure!(code == Some(0) && planned["records"] == 5, "{planned}");
    ensure!(all_lines(stack, &folders).await? == before, "a dry run has changed something");

    let (code, done) = run(stack, &["forget", "--user-id", &user, "--yes"]).await?;
    ensure!(code == Some(0) && done["records"] == 5, "{code:?} {done}");
    let mut expected = before;
    expected.retain(|line| !is_theirs(line));
    ensure!(all_lines(stack, &folders).await? == expected, "the others are not as they were");
    let (code, again) = run(stack, &["forget", "--user-id", &user, "--yes"]).await?;
    ensure!(code == Some(0) && again["records"] == 0 && again["documents"] == json!([]), "{again}");

    let mut keys_after = keys(stack, "").await?;
    keys_after.retain(|key| !key.starts_with("ledger/forgotten/"));
    ensure!(keys_after == keys_before, "{keys_after:?}");
    let documents: Vec<_> = done["documents"].as_array().into_iter().flatten().collect();
    let mut rewritten = 0;
    for key in keys(stack, "raw/").await? {
        let object = fetch(stack, &key).await?;
        ensure!(object.metadata("content-checksum").is_some(), "{key}: {object:?}");
        if let Some(id) = object.metadata("forgotten") {
            ensure!(documents.contains(&&json!(id)), "{key}: {id} {done}");
            rewritten += 1;
        }
    }
    ensure!(rewritten > 0, "no object says that it was rewritten");
    Ok(())
}

/// Every line below `folders`, in the order of keys.
async fn all_lines(stack: &Stack, folders: &[&str]) -> Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    for folder in folders {
        lines.extend(byte_lines(stack, folder).await?);
    }
    Ok(lines)
}

fn theirs(lines: &[Vec<u8>]) -> usize {
    lines.iter().filter(|line| is_theirs(line)).count()
}

/// Whether a line is the forgotten user's, in an envelope or not.
fn is_theirs(line: &[u8]) -> bool {
    let parse = |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap_or_default();
    let json = parse(line);
    let inside = json["value_base64"].as_str().and_then(|text| STANDARD.decode(text).ok());
    inside.map_or(json, |value| parse(&value))["user_id"] == FORGOTTEN
}

async fn redrive(stack: &Stack, minute: Window) -> Result<()> {
    let fix = format!("sed s/{WRONG}/N1/");
    let (code, planned) = run(stack, &["redrive", "--through", &fix, "--dry-run"]).await?;
    ensure!(code == Some(0) && planned["by_reason"]["invalid_postcode"] == LEFT, "{planned}");

    // It fails with the second transaction, as if it had been killed after the first.
    let mark = stack.logs_dir().join("redrive.mark");
    let mark = mark.to_str().context("a path that is not UTF-8")?;
    let once = format!("if test -e {mark}; then exit 1; fi; touch {mark}; {fix}");
    let broken = stack.cli(&["redrive", "--through", &once]).await?;
    ensure!(broken.status.code() == Some(1), "{broken:?}");
    let first = 1_000;
    let (_, rest) = run(stack, &["redrive", "--through", &fix]).await?;
    ensure!(rest["sent"] == LEFT - first, "{rest}");
    for arguments in [&["redrive"][..], &["redrive", "--reason", "invalid_postcode"]] {
        let (code, again) = run(stack, arguments).await?;
        ensure!(code == Some(0) && again["sent"] == 0, "sent twice: {again}");
    }
    let n1 = (Postcode::parse("N1")?, minute);
    eventually("what was mended is counted", Duration::from_secs(60), async || {
        Ok((sums(stack).await?.get(&n1) == Some(&LEFT)).then_some(()))
    })
    .await
}

/// Runs a command with `--json`: its exit code, and what it says.
async fn run(stack: &Stack, arguments: &[&str]) -> Result<(Option<i32>, Value)> {
    let output = stack.cli(&[arguments, &["--json"]].concat()).await?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {words}"))?;
    Ok((output.status.code(), json))
}

/// A pageview in the first second of `minute`.
fn event(postcode: &str, minute: Window, user: u64) -> Value {
    json!({"user_id": user, "postcode": postcode, "webpage": "/", "timestamp": minute.start().0})
}
