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
        try_join_all(stops().into_iter().map(|case| stop(&stack, case))),
        endless(&stack),
        // Whose small answers fill what the kernel holds, and whose large ones fill the connection's buffer at once.
        try_join_all((0..DEAF).map(|_| deaf(&stack, "/x"))),
        try_join_all((0..DEAF).map(|_| deaf(&stack, "/openapi.json"))),
    )?;
    stalled(&stack).await?;
    let memory = peak_memory(&stack, Service::IngestApi, 1)?;
    println!("peak memory of ingest-api: {} MiB", memory >> 20);
    ensure!(memory < MEMORY, "ingest-api took {memory} bytes");
    stack.stop().await?;
    Ok(())
}

/// Clients that stop, how they are answered, and whether by a problem: what is no whole head is seen by nothing of ours.
type Stop = (&'static str, Vec<u8>, u16, bool);

fn stops() -> Vec<Stop> {
    let whole = post(SINGLE, &[], EVENT.as_bytes());
    let half = whole[..whole.len() - 10].to_vec();
    let chunk = format!("{}\r\n{:x}\r\n{EVENT}", head(SINGLE, &[JSON, CHUNKED]), EVENT.len());
    vec![
        ("half a head", b"POST /api/pagev".to_vec(), 408, false),
        ("half a second head", [&whole[..], b"POST /api/pagev"].concat(), 202, false),
        ("half a body", half, 408, true),
        ("a chunk without an end", chunk.into_bytes(), 408, true),
        ("nothing more", whole, 202, false),
    ]
}

async fn stop(stack: &Stack, (name, bytes, status, is_problem): Stop) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(&bytes).await;
    let answer = wire.answer().await?.with_context(|| format!("{name}: no answer"))?;
    ensure!(answer.status == status && answer.is_problem() == is_problem, "{name}: {answer:?}");
    ensure!(wire.is_closed().await.context(name)?, "{name}: is answered twice");
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
