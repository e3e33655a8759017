//! Reads a request's body: so much, so slowly, and so much at a time as is allowed, and decompressed.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures::StreamExt as _;
use service::clock;

use crate::decode::decode;
use crate::delivery::{Budget, Reservation};
use crate::headers::Coding;
use crate::problem::Problem;

/// How long a client may take to begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// From then on it must send so many bytes a second, on average.
const SLOWEST: usize = 16 * 1024;

/// A body, which takes its bytes from a budget while it lives.
pub(crate) struct Body {
    bytes: Bytes,
    _room: Reservation,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The size that the client announces, if it does.
pub(crate) fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body, of at most `limit` bytes, as sent and decompressed.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    budget: &Arc<Budget>,
) -> Result<Body, Problem> {
    let coding = Coding::parse(request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
    let mut room = budget.reserve(0).ok_or_else(no_room)?;
    let sent = receive(payload, limit, &mut room).await?;
    if coding == Coding::Identity {
        return Ok(Body { bytes: sent, _room: room });
    }
    let mut decoded_room = budget.reserve(0).ok_or_else(no_room)?;
    let bytes = decode(&sent, coding, limit, |bytes| take(&mut decoded_room, bytes))?;
    Ok(Body { bytes: bytes.into(), _room: decoded_room })
}

async fn receive(mut payload: Payload, limit: usize, room: &mut Reservation) -> Result<Bytes, Problem> {
    let started = clock::monotonic();
    let mut all = BytesMut::new();
    let mut first = None;
    let mut received = 0;
    loop {
        let deadline = started + PATIENCE + Duration::from_secs((received / SLOWEST) as u64);
        let chunk = match tokio::time::timeout_at(deadline.into(), payload.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => {
                return Err(Problem::invalid(format!("the body ended early: {error}"), Vec::new()));
            }
            Ok(None) => return Ok(first.unwrap_or_else(|| all.freeze())),
            Err(_elapsed) => return Err(too_slow(received)),
        };
        received += chunk.len();
        if received > limit {
            return Err(Problem::body_too_large(limit));
        }
        take(room, chunk.len())?;
        // Most bodies come in one piece, which need not be copied.
        if received == chunk.len() {
            first = Some(chunk);
        } else {
            all.extend_from_slice(&first.take().unwrap_or_default());
            all.extend_from_slice(&chunk);
        }
    }
}

fn take(room: &mut Reservation, bytes: usize) -> Result<(), Problem> {
    if room.grow(bytes as u64) { Ok(()) } else { Err(no_room()) }
}

fn no_room() -> Problem {
    let detail = "too many bodies are being read already: nothing was stored, send it again later";
    Problem::unavailable(detail.into(), None)
}

fn too_slow(received: usize) -> Problem {
    Problem::timeout(format!(
        "the body came too slowly: {received} bytes of it, and no end; {PATIENCE:?} are allowed, and a second more for \
         every {SLOWEST} bytes"
    ))
}
