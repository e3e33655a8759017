//! A client that repeats an event under the same `event_id` while its window is open: it counts once, over a `kill -9` of
//! the aggregator too. S3 keeps every copy.

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Counts, audit_ledger, byte_lines, eventually, for_a_while, minutes_ago, options, post, sums};
use model::{Postcode, Window};
use serde_json::{Value, json};
use stack::{Service, Stack};

#[tokio::test]
async fn a_repeated_event_counts_once_and_its_id_on_another_event_counts_again() -> Result<()> {
    // Static membership: an aggregator that was killed has its partitions back at once.
    let options = options("repeats")?.env("PAGEVIEW_KAFKA__STATIC_MEMBERSHIP", "true");
    // However slow the machine, the minute does not end before the test.
    let options = options.env("PAGEVIEW_PIPELINE__WINDOW__IDLE_TIMEOUT", "10s");
    let stack = Stack::start(options).await?;
    let minute = minutes_ago(5)?;

    let done = Cell::new(false);
    let scene = async {
        let repeats = repeat(&stack, minute).await;
        done.set(true);
        repeats
    };
    let (repeats, ticks) = tokio::join!(scene, keep_open(&stack, minute, &done));
    let (repeats, ticks) = (repeats?, ticks?);

    let verdict = audit_ledger(&stack).await?;
    println!("{verdict}");
    let count = |postcode: &str, minute, count| Ok(((Postcode::parse(postcode)?, minute), count));
    let expected: Result<Counts> = [
        count("SW19", minutes_before(minute, 2), 2),
        // A; the other event with A's id; twice the one without id; B, C and D, which a kill came between.
        count("SW19", minute, ticks + 1 + 1 + 2 + 3),
        count("EC1", minute, 1),
    ]
    .into_iter()
    .collect();
    let (expected, sums) = (expected?, sums(&stack).await?);
    ensure!(sums == expected, "counted: {sums:?}, expected: {expected:?}");
    let balance = verdict["checks"].as_array().into_iter().flatten();
    let dropped: Vec<_> = balance.filter_map(|check| check["numbers"]["repeats"].as_u64()).collect();
    ensure!(dropped == [repeats], "{dropped:?} repeats were dropped, of {repeats}");
    let events = expected.values().sum::<u64>() + repeats;
    let stored = byte_lines(&stack, "raw/").await?.len();
    ensure!(stored as u64 == events, "raw/ has {stored} events, of {events}");
    stack.stop().await?;
    Ok(())
}

/// Sends events once and several times; tells how many must not count.
async fn repeat(stack: &Stack, minute: Window) -> Result<u64> {
    let event = |user: u64, id: Option<&str>| event("SW19", minute, 0, user, id);
    let (a, b, c, d) = (event(1, Some("A")), event(2, Some("B")), event(3, Some("C")), event(4, Some("D")));
    let earlier = |user| self::event("SW19", minutes_before(minute, 2), 0, user, None);
    send(stack, &[&earlier(5)]).await?;
    for _ in 0..3 {
        send(stack, &[&a]).await?;
    }
    send(stack, &[&a, &event(6, Some("A")), &a]).await?;
    send(stack, &[&event(7, None), &event(7, None)]).await?;
    send(stack, &[&self::event("EC1", minute, 0, 1, Some("A"))]).await?;

    // What comes late is written at once, and with it how far the aggregator has read: past B. C is sent while nobody
    // counts, D is perhaps read by the one that dies.
    send(stack, &[&b]).await?;
    send(stack, &[&earlier(8)]).await?;
    let earlier = (Postcode::parse("SW19")?, minutes_before(minute, 2));
    eventually("the late event is counted", Duration::from_secs(20), async || {
        Ok((sums(stack).await?.get(&earlier) == Some(&2)).then_some(()))
    })
    .await?;
    send(stack, &[&d]).await?;
    stack.kill_9(Service::Aggregator, 1).await?;
    send(stack, &[&c]).await?;
    stack.replica(Service::Aggregator, 1)?.ready().await?;
    send(stack, &[&b, &c, &d]).await?;
    Ok(2 + 2 + 3)
}

/// Sends something newer time and again until `done`: a window of the past is open for as long as time goes on in it.
/// Tells how many it has sent.
async fn keep_open(stack: &Stack, minute: Window, done: &Cell<bool>) -> Result<u64> {
    let mut ticks = 0;
    while !done.get() {
        ensure!(ticks < Window::SECONDS - 1, "the minute is over before the test");
        ticks += 1;
        send(stack, &[&event("SW19", minute, ticks, 100 + ticks.unsigned_abs(), None)]).await?;
        for_a_while(Duration::from_millis(800)).await;
    }
    Ok(ticks.unsigned_abs())
}

async fn send(stack: &Stack, events: &[&Value]) -> Result<()> {
    let answer = post(stack, "/api/pageviews/batch", json!(events).to_string()).await?;
    ensure!(answer.status == 202, "{answer:?}");
    Ok(())
}

/// A pageview in the second `second` of `minute`.
fn event(postcode: &str, minute: Window, second: i64, user: u64, id: Option<&str>) -> Value {
    let timestamp = minute.start().0 + second;
    json!({"user_id": user, "postcode": postcode, "webpage": "/", "timestamp": timestamp, "event_id": id})
}

fn minutes_before(minute: Window, minutes: i64) -> Window {
    Window::containing(model::EpochSeconds(minute.start().0 - minutes * Window::SECONDS))
}
