//! Clients that are slow, stop, or do not listen: each is given up in time, and keeps nobody else waiting.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Wire, WireAnswer, eventually, options, peak_memory};
use futures::future::try_join_all;
use stack::{Service, Stack};

use crate::corpus::{BATCH, EVENT, MAX_BATCH, MEMORY, SINGLE, batch_sized, exchange, good, head, post};

const JSON: &str = "Content-Type: application/json";
const CHUNKED: &str = "Transfer-Encoding: chunked";
/// More than all the room for bodies.
const STALLED: usize = 12;
const DEAF: usize = 100;

#[tokio::test]
async fn slow_clients_are_given_up_and_keep_nobody_waiting() -> Result<()> {
    let options = options("slow")?.replicas(Service::Aggregator, 0).replicas(Service::S3Sink, 0);
    let stack = Stack::start(options.env("PAGEVIEW_INGEST__KEEP_ALIVE", "2s")).await?;
    tokio::try_join!(
        first_head(&stack),
        second_head(&stack),
        body(&stack),
        chunks(&stack),
        endless(&stack),
        idle(&stack),
        // Answers that fill the connection's buffer, one after many requests or after a few.
        try_join_all((0..DEAF).map(|_| deaf(&stack, "/x"))),
        try_join_all((0..DEAF).map(|_| deaf(&stack, "/openapi.json"))),
    )?;
    let memory = peak_memory(&stack, Service::IngestApi, 1)?;
    println!("peak memory of ingest-api: {} MiB", memory >> 20);
    stalled(&stack).await?;
    ensure!(memory < MEMORY, "ingest-api took {memory} bytes");
    stack.stop().await?;
    Ok(())
}

async fn first_head(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(b"POST /api/pagev").await;
    let answer = wire.answer().await?.context("no answer")?;
    ensure!(answer.status == 408, "{answer:?}");
    ensure!(wire.is_closed().await.context("half a head")?, "half a head is answered twice");
    Ok(())
}

async fn second_head(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(&[&post(SINGLE, &[], EVENT.as_bytes())[..], b"POST /api/pagev"].concat()).await;
    let answer = wire.answer().await?.context("no answer")?;
    ensure!(answer.status == 202, "{answer:?}");
    ensure!(wire.is_closed().await.context("half a second head")?, "half a head is answered");
    Ok(())
}

async fn body(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    let request = post(SINGLE, &[], EVENT.as_bytes());
    wire.send(&request[..request.len() - 10]).await;
    is_given_up(&mut wire, 408).await.context("half a body")
}

async fn chunks(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(format!("{}\r\n{:x}\r\n{EVENT}", head(SINGLE, &[JSON, CHUNKED]), EVENT.len()).as_bytes()).await;
    is_given_up(&mut wire, 408).await.context("a chunk without an end")
}

async fn is_given_up(wire: &mut Wire, status: u16) -> Result<()> {
    let answer = wire.answer().await?.context("no answer")?;
    ensure!(answer.status == status && answer.is_problem(), "{answer:?}");
    ensure!(wire.is_closed().await?, "it is answered twice");
    Ok(())
}

/// A body that nobody announced: refused past the limit, and not read to its end.
async fn endless(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(format!("{}\r\n", head(BATCH, &[JSON, CHUNKED])).as_bytes()).await;
    let chunk = [&b"100000\r\n"[..], &vec![b' '; 1 << 20], b"\r\n"].concat();
    for _ in 0..9 {
        wire.send(&chunk).await;
    }
    let answer = wire.answer().await?.context("no answer")?;
    ensure!(answer.status == 413 && answer.is_problem(), "{answer:?}");
    wire.send_until_closed(&chunk).await.context("a body without an end")
}

async fn idle(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(&post(SINGLE, &[], EVENT.as_bytes())).await;
    wire.answer().await?.context("no answer")?;
    ensure!(wire.is_closed().await.context("an idle connection")?, "silence is answered");
    Ok(())
}

/// Asks as often as it can, and never reads an answer.
async fn deaf(stack: &Stack, path: &str) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    let requests = format!("GET {path} HTTP/1.0\nConnection: keep-alive\n\n").repeat(10_000);
    wire.send_until_closed(requests.as_bytes()).await.context("a client that reads no answer")
}

/// Bodies that come at once but for their end. Small ones have room beside them, large ones after a moment.
async fn stalled(stack: &Stack) -> Result<()> {
    let request = post(BATCH, &[], batch_sized(MAX_BATCH).as_bytes());
    let mut wires = Vec::new();
    for _ in 0..STALLED {
        let mut wire = Wire::connect(stack).await?;
        wire.send(&request[..request.len() - 10]).await;
        wires.push(wire);
    }
    good(stack).await.context("beside bodies that stall")?;
    eventually("a batch is accepted beside bodies that stall", Duration::from_secs(5), async || {
        let WireAnswer { status, .. } = exchange(stack, &request).await?;
        Ok((status == 202).then_some(()))
    })
    .await?;
    for mut wire in wires {
        let answer = wire.answer().await?.context("no answer")?;
        ensure!([408, 503].contains(&answer.status) && answer.is_problem(), "{answer:?}");
    }
    Ok(())
}
