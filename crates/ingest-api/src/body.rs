//! Reads a request's body: so much, so slowly, and so much at a time as is allowed, and decompressed.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures::{FutureExt as _, StreamExt as _};
use service::clock;

use crate::connection::Progress;
use crate::decode::decode;
use crate::delivery::{Budget, Reservation};
use crate::headers::Coding;
use crate::problem::Problem;
use crate::request::MAX_SINGLE_BYTES;

/// How fast a body must come.
struct Pace {
    /// Bytes a second.
    slowest: u64,
    /// How far behind it may fall.
    pause: Duration,
}

const PACE: Pace = Pace { slowest: 16 * 1024, pause: Duration::from_secs(10) };
/// While more than half of the room for bodies is taken: those that stall make way.
const BRISK_PACE: Pace = Pace { slowest: 256 * 1024, pause: Duration::from_secs(1) };
/// How often is looked whether it is.
const LOOK: Duration = Duration::from_millis(500);
/// One part of so many of the room is for bodies of at most [`MAX_SINGLE_BYTES`] bytes, whatever large ones do.
const PART_FOR_SMALL: u64 = 16;

impl Pace {
    /// Until when more must come of a body that had until `deadline`, and so many bytes of which have come `now`. What
    /// comes fast earns no longer pause.
    fn extended(&self, deadline: Instant, now: Instant, bytes: usize) -> Instant {
        let earned = Duration::from_micros(bytes as u64 * 1_000_000 / self.slowest);
        (deadline + earned).min(now + self.pause)
    }
}

/// Until when a client must send more of its body.
struct Deadlines {
    usual: Instant,
    brisk: Instant,
}

impl Deadlines {
    fn new(now: Instant) -> Self {
        Self { usual: now + PACE.pause, brisk: now + BRISK_PACE.pause }
    }

    fn extend(&mut self, now: Instant, bytes: usize) {
        self.usual = PACE.extended(self.usual, now, bytes);
        self.brisk = BRISK_PACE.extended(self.brisk, now, bytes);
    }

    const fn get(&self, is_scarce: bool) -> Instant {
        if is_scarce { self.brisk } else { self.usual }
    }
}

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
pub(crate) fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body, of at most `limit` bytes, as sent and decompressed.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    limit: usize,
    budget: &Arc<Budget>,
) -> Result<Body, Problem> {
    let coding = Coding::parse(request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
    let left = if limit <= MAX_SINGLE_BYTES { 0 } else { budget.limit() / PART_FOR_SMALL };
    let mut room = budget.leaving(left);
    let sent = receive(payload, limit, budget, &mut room).await?;
    if let Some(connection) = request.conn_data::<Rc<Progress>>() {
        connection.received();
    }
    if coding == Coding::Identity {
        return Ok(Body { bytes: sent, _room: room });
    }
    let mut decoded_room = budget.leaving(left);
    let bytes = decode(&sent, coding, limit, |bytes| take(&mut decoded_room, bytes))?;
    Ok(Body { bytes: bytes.into(), _room: decoded_room })
}

async fn receive(
    mut payload: Payload,
    limit: usize,
    budget: &Budget,
    room: &mut Reservation,
) -> Result<Bytes, Problem> {
    let mut all = BytesMut::new();
    let mut first = None;
    let mut received = 0;
    let mut waiting = Waiting { budget, deadlines: None, earned: 0 };
    loop {
        // What is here already needs no clock.
        let next = match payload.next().now_or_never() {
            Some(next) => next,
            None => waiting.next(&mut payload, received).await?,
        };
        let chunk = match next {
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => {
                return Err(Problem::invalid(format!("the body ended early: {error}"), Vec::new()));
            }
            None => return Ok(first.unwrap_or_else(|| all.freeze())),
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

/// Waits for a body's bytes, for as long as it may.
struct Waiting<'a> {
    budget: &'a Budget,
    /// Since there was something to wait for.
    deadlines: Option<Deadlines>,
    /// The bytes that have moved them.
    earned: usize,
}

impl Waiting<'_> {
    /// What comes after `received` bytes.
    async fn next(
        &mut self,
        payload: &mut Payload,
        received: usize,
    ) -> Result<Option<Result<Bytes, PayloadError>>, Problem> {
        let now = clock::monotonic();
        let deadlines = self.deadlines.get_or_insert_with(|| Deadlines::new(now));
        deadlines.extend(now, received - self.earned);
        self.earned = received;
        loop {
            let until = deadlines.get(self.budget.is_scarce()).min(clock::monotonic() + LOOK);
            if let Ok(next) = tokio::time::timeout_at(until.into(), payload.next()).await {
                return Ok(next);
            }
            let now = clock::monotonic();
            if now >= deadlines.usual {
                return Err(too_slow(received));
            }
            if now >= deadlines.get(self.budget.is_scarce()) {
                return Err(no_room());
            }
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
        "the body came too slowly: {received} bytes of it, and no end; {} bytes a second are asked for, and pauses of at \
         most {:?}",
        PACE.slowest, PACE.pause
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_as_slow_as_the_pace_and_pause_however_fast_it_was_before() {
        let start = clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadline = at(10);
        for second in 1..500 {
            deadline = PACE.extended(deadline, at(second), 16 * 1024);
            assert_eq!(deadline, at(second + 10), "as fast as it must be");
        }
        assert_eq!(PACE.extended(deadline, at(500), 8 << 20), at(510), "much at once");
        assert_eq!(PACE.extended(at(510), at(509), 1), at(510) + Duration::from_micros(61), "almost nothing");
    }
}
