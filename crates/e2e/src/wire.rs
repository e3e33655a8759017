//! HTTP/1.1 byte by byte, for what no client library would send.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use stack::Stack;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longer than any limit of the service that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the API.
#[derive(Debug)]
pub struct Wire<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct WireAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Its head, as text.
    pub head: String,
    /// The body, null if it was no JSON.
    pub json: Value,
}

impl WireAnswer {
    /// The value of the header `name`, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let named =
            |line: &'_ str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|line| named(line))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    /// Whether it is a problem with a status, a title and a detail (RFC 9457).
    #[must_use]
    pub fn is_problem(&self) -> bool {
        self.header("content-type") == Some("application/problem+json")
            && self.json["status"] == self.status
            && self.json["title"].is_string()
            && self.json["detail"].is_string()
    }
}

impl Wire {
    /// A new connection to ingest-api.
    ///
    /// # Errors
    /// When nobody accepts.
    pub async fn connect(stack: &Stack) -> Result<Self> {
        let url = stack.api_url();
        let address = url.strip_prefix("http://").context("no plain HTTP")?;
        Ok(Self::over(TcpStream::connect(address).await?))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Speaks HTTP over `stream`.
    pub fn over(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// The stream below.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Sends `bytes`, as many as the other side takes: one that has seen enough may close.
    pub async fn send(&mut self, bytes: &[u8]) {
        // An error is told by the answer, or by the lack of one.
        let _ = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await;
        let _ = self.stream.flush().await;
    }

    /// Sends `bytes` again and again, and reads nothing, until the other side takes no more of it and closes.
    ///
    /// # Errors
    /// When it does not for half a minute.
    pub async fn send_until_closed(&mut self, bytes: &[u8]) -> Result<()> {
        let sending = async { while self.stream.write_all(bytes).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, sending).await.context("the connection is open after half a minute")
    }

    /// The next final answer; `None` if the connection is closed without one.
    ///
    /// # Errors
    /// When nothing comes for half a minute, or what comes is no HTTP.
    pub async fn answer(&mut self) -> Result<Option<WireAnswer>> {
        loop {
            let Some(answer) = self.any_answer().await? else { return Ok(None) };
            // 100 Continue, which a client may get unasked (RFC 9110, section 15.2).
            if answer.status >= 200 {
                return Ok(Some(answer));
            }
        }
    }

    async fn any_answer(&mut self) -> Result<Option<WireAnswer>> {
        let end = loop {
            if let Some(end) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if !self.receive().await? {
                ensure!(self.received.is_empty(), "not HTTP: {}", self.received.escape_ascii());
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
        self.received.drain(..end + 4);
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
        let mut answer = WireAnswer { status, head, json: Value::Null };
        let length: usize = answer.header("content-length").map_or(Ok(0), str::parse)?;
        while self.received.len() < length {
            ensure!(self.receive().await?, "the answer was cut short: {}", answer.head);
        }
        let body: Vec<u8> = self.received.drain(..length).collect();
        answer.json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Some(answer))
    }

    /// Whether the other side closes, and says nothing more before.
    ///
    /// # Errors
    /// When it does neither for half a minute.
    pub async fn is_closed(&mut self) -> Result<bool> {
        Ok(!self.receive().await?)
    }

    async fn receive(&mut self) -> Result<bool> {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await;
        match read.context("nothing came for half a minute")? {
            Ok(bytes) => Ok(bytes > 0),
            Err(_reset) => Ok(false),
        }
    }
}
