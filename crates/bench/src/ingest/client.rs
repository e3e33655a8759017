//! A client that costs little: requests are prepared, each connection has one on its way, and of an answer only what is
//! needed is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use hdrhistogram::Histogram;
use service::clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::child::Child;
use crate::ingest::report::Run;

/// What is sent, by how many, for how long.
pub(super) struct Load {
    pub(super) bodies: Vec<Vec<u8>>,
    pub(super) path: &'static str,
    /// In each body.
    pub(super) events: u64,
    pub(super) connections: usize,
    /// Before what is measured.
    pub(super) warm_up: Duration,
    /// What is measured.
    pub(super) seconds: Duration,
}

/// Of a load, what comes when.
const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const ENDING: u8 = 2;

/// What was answered.
struct Tally {
    /// Events accepted over the whole load.
    accepted: u64,
    /// Those of the time that is measured.
    measured: u64,
    /// Microseconds from request to answer, of that time.
    latency: Histogram<u64>,
}

impl Load {
    /// Sends it to `port` of this machine; what the process of `child` used meanwhile, and how many events it accepted in
    /// all.
    pub(super) async fn send(&self, port: u16, child: &Child) -> anyhow::Result<(Run, u64)> {
        let phase = Arc::new(AtomicU8::new(WARMING));
        let requests: Arc<[Vec<u8>]> = self.bodies.iter().map(|body| self.request(body)).collect();
        let client = {
            let (phase, requests) = (Arc::clone(&phase), Arc::clone(&requests));
            let (connections, events) = (self.connections, self.events);
            thread::Builder::new()
                .name("client".to_owned())
                .spawn(move || run(port, connections, events, &requests, &phase))?
        };
        stack::pause(self.warm_up).await;
        phase.store(MEASURING, Ordering::Relaxed);
        let begin = child.mark()?;
        stack::pause(self.seconds).await;
        phase.store(ENDING, Ordering::Relaxed);
        let end = child.mark()?;
        let joined = tokio::task::spawn_blocking(move || client.join()).await?;
        let tally = joined.map_err(|_panic| anyhow!("the client panicked"))??;
        Ok((Run::new(begin.until(&end, tally.measured)?, &tally.latency), tally.accepted))
    }

    fn request(&self, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.path,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

fn run(
    port: u16,
    connections: usize,
    events: u64,
    requests: &Arc<[Vec<u8>]>,
    phase: &Arc<AtomicU8>,
) -> anyhow::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    let tasks: Vec<_> = (0..connections)
        .map(|first| {
            let (requests, phase) = (Arc::clone(requests), Arc::clone(phase));
            local.spawn_local(async move { connection(port, first, events, &requests, &phase).await })
        })
        .collect();
    local.block_on(&runtime, async {
        let mut total = Tally::new()?;
        for task in tasks {
            let tally = task.await??;
            total.accepted += tally.accepted;
            total.measured += tally.measured;
            total.latency.add(&tally.latency)?;
        }
        Ok(total)
    })
}

async fn connection(
    port: u16,
    first: usize,
    events: u64,
    requests: &[Vec<u8>],
    phase: &AtomicU8,
) -> anyhow::Result<Tally> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut tally = Tally::new()?;
    let mut buffer = Vec::with_capacity(4096);
    let mut turn = first;
    while phase.load(Ordering::Relaxed) != ENDING {
        let sent = clock::monotonic();
        stream.write_all(&requests[turn % requests.len()]).await?;
        turn += 1;
        buffer.clear();
        let status = loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the connection was closed");
            if let Some(status) = answer(&buffer)? {
                break status;
            }
        };
        ensure!(status == 202, "answered {}", String::from_utf8_lossy(&buffer));
        tally.accepted += events;
        if phase.load(Ordering::Relaxed) == MEASURING {
            tally.measured += events;
            tally.latency.saturating_record(sent.elapsed().as_micros() as u64);
        }
    }
    Ok(tally)
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        Ok(Self { accepted: 0, measured: 0, latency: Histogram::new_with_max(60_000_000, 3)? })
    }
}

/// The status of the one answer in `bytes`, if it is all there.
fn answer(bytes: &[u8]) -> anyhow::Result<Option<u16>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).context("no status")?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.context("no content-length")?.1.parse()?;
    Ok((bytes.len() >= end + 4 + length).then_some(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_when_it_is_whole() {
        let whole = b"HTTP/1.1 202 Accepted\r\ncontent-length: 14\r\nx: y\r\n\r\n{\"accepted\":1}";
        assert_eq!(answer(whole).unwrap(), Some(202));
        for end in 0..whole.len() {
            assert_eq!(answer(&whole[..end]).unwrap(), None);
        }
        assert!(answer(b"HTTP/1.1 202 Accepted\r\n\r\n").is_err());
    }
}
