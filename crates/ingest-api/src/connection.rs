//! A client's connection, with bounds that actix does not have: it times only the first head of a connection, and takes
//! 128 KiB of requests apart before it answers the first, which may be 5,000 of them at 10 KB of memory each.
//!
//! ```text
//! accept -> Awaiting -- request --> Reading -- end of the body --> Answering
//!              ^  | silent: closed                                    |  nothing more is read
//!              |  + too slow: given up                                |
//!              +------------------- answer or refusal ----------------+
//! ```

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use rustls::ServerConfig;
use service::clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use crate::metrics;

/// How long a client may take for a head, or to agree on the encryption.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are read before the requests in them are looked at: a usual event with its head, or 64 tiny requests.
const ROUND: usize = 1024;
/// Bytes of a body that are.
const BODY_ROUND: usize = 64 * 1024;

/// Where a connection stands, as its requests tell it.
pub(crate) struct Progress {
    phase: Cell<Phase>,
    /// Whom to tell that reading goes on.
    reader: Cell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Since then, the next request is; perhaps some of its head is here.
    Awaiting { since: Instant, has_begun: bool },
    /// A request has begun, and so many bytes of its body may come. It has deadlines of its own.
    Reading(usize),
    /// All of the request is here, its answer is not ready.
    Answering,
}

/// What becomes of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing before then.
    Wait(Instant),
    /// It has been idle for long enough.
    Close,
    /// The client does not finish its request, or does not read its answers.
    GiveUp,
}

impl Progress {
    fn new(now: Instant) -> Self {
        Self { phase: Cell::new(Phase::Awaiting { since: now, has_begun: false }), reader: Cell::new(None) }
    }

    /// A request is handled, which announces a body of so many bytes, if it does.
    pub(crate) fn begun(&self, announced: Option<usize>) {
        self.phase.set(Phase::Reading(announced.unwrap_or(0)));
    }

    /// So is its body.
    pub(crate) fn received(&self) {
        self.phase.set(Phase::Answering);
    }

    /// Its answer is on its way, or it was given up.
    pub(crate) fn ended(&self, now: Instant) {
        self.phase.set(Phase::Awaiting { since: now, has_begun: false });
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// How many bytes may be read before the requests in them are looked at.
    fn round(&self) -> usize {
        match self.phase.get() {
            Phase::Awaiting { .. } => ROUND,
            // Not much more than the body: behind it there may be tiny requests.
            Phase::Reading(body) => body.clamp(ROUND, BODY_ROUND),
            Phase::Answering => 0,
        }
    }

    /// So many were.
    fn read(&self, bytes: usize) {
        match self.phase.get() {
            Phase::Awaiting { since, .. } if bytes > 0 => {
                self.phase.set(Phase::Awaiting { since, has_begun: true });
            }
            Phase::Reading(body) => self.phase.set(Phase::Reading(body.saturating_sub(bytes))),
            Phase::Awaiting { .. } | Phase::Answering => {}
        }
    }

    /// What becomes of it `now`.
    fn verdict(&self, now: Instant, keep_alive: Duration) -> Verdict {
        let Phase::Awaiting { since, has_begun } = self.phase.get() else {
            return Verdict::Wait(now + keep_alive);
        };
        let (idle, given_up) = (since + keep_alive, since + keep_alive + HEAD_TIMEOUT);
        if now >= given_up {
            Verdict::GiveUp
        } else if has_begun {
            Verdict::Wait(given_up)
        } else if now >= idle {
            Verdict::Close
        } else {
            Verdict::Wait(idle)
        }
    }
}

/// The client's side of it.
pub(crate) struct Connection {
    io: Either<TcpStream, Box<TlsStream<TcpStream>>>,
    progress: Rc<Progress>,
    keep_alive: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the timer knows whom to wake.
    is_timed: bool,
    /// Bytes of this round.
    read: usize,
    /// Whether the client leaves its answers unread.
    is_deaf: bool,
    /// Whether it has been silent for too long.
    is_closing: bool,
}

impl Connection {
    /// Agrees on the encryption where there is `tls`. A client that is silent for `keep_alive` is told the end.
    ///
    /// # Errors
    /// When the client does not agree in time.
    pub(crate) async fn accept(
        tcp: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        keep_alive: Duration,
    ) -> io::Result<Self> {
        let io = match tls {
            None => Either::Left(tcp),
            Some(tls) => {
                let handshake = TlsAcceptor::from(tls).accept(tcp);
                Either::Right(Box::new(tokio::time::timeout(HEAD_TIMEOUT, handshake).await??))
            }
        };
        let now = clock::monotonic();
        metrics::connected();
        Ok(Self {
            io,
            progress: Rc::new(Progress::new(now)),
            keep_alive,
            timer: Box::pin(tokio::time::sleep_until((now + keep_alive).into())),
            is_timed: false,
            read: 0,
            is_deaf: false,
            is_closing: false,
        })
    }

    pub(crate) fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    /// Whether the client is given up. The timer keeps whom to wake: all of a connection's life is one task.
    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.is_timed && !self.timer.is_elapsed() {
            return Ok(());
        }
        while self.timer.as_mut().poll(context).is_ready() {
            let now = clock::monotonic();
            let next = match self.progress.verdict(now, self.keep_alive) {
                Verdict::Wait(until) => until,
                Verdict::Close => {
                    self.is_closing = true;
                    now + HEAD_TIMEOUT
                }
                Verdict::GiveUp => {
                    metrics::given_up();
                    return Err(io::ErrorKind::TimedOut.into());
                }
            };
            self.timer.as_mut().reset(next.into());
        }
        // Without budget the timer did not look at its clock.
        self.is_timed = tokio::task::coop::has_budget_remaining();
        Ok(())
    }

    /// Nothing is read while nothing more is wanted, so that what the client sends ahead stays in the kernel.
    fn pause(&self, context: &mut Context<'_>) {
        // Mostly there is nothing to read, and whoever sends something wakes the connection.
        let is_waited_for = match &self.io {
            Either::Left(tcp) => tcp.poll_read_ready(context).is_pending(),
            Either::Right(_) => false,
        };
        if !is_waited_for {
            self.progress.reader.set(Some(context.waker().clone()));
        }
    }

    fn written(
        &mut self,
        context: &Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.is_deaf && written.is_ready() {
            context.waker().wake_by_ref();
        }
        self.is_deaf = written.is_pending();
        written
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        metrics::disconnected();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.check_time(context)?;
        if this.is_deaf {
            return Poll::Pending;
        }
        let round = this.progress.round();
        if round == 0 {
            this.pause(context);
            return Poll::Pending;
        }
        if this.read >= round {
            this.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let round = round - this.read;
        let read = if buffer.remaining() <= round {
            Pin::new(&mut this.io).poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(round));
            let read = Pin::new(&mut this.io).poll_read(context, &mut part);
            let bytes = part.filled().len();
            buffer.advance(bytes);
            read
        };
        let bytes = buffer.filled().len() - before;
        this.progress.read(bytes);
        this.read = if read.is_ready() { this.read + bytes } else { 0 };
        if read.is_pending() && this.is_closing {
            // As if the client had said that it is done: actix closes in order.
            return Poll::Ready(Ok(()));
        }
        this.is_closing = false;
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_time(context)?;
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_time(context)?;
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_a_connection_half_a_request_a_moment_later_and_an_answer_may_take_its_time() {
        let (start, keep_alive) = (clock::monotonic(), Duration::from_secs(75));
        let at = |seconds| start + Duration::from_secs(seconds);
        let progress = Progress::new(start);
        assert_eq!(progress.verdict(at(74), keep_alive), Verdict::Wait(at(75)));
        assert_eq!(progress.verdict(at(75), keep_alive), Verdict::Close);
        progress.read(0);
        assert_eq!(progress.verdict(at(75), keep_alive), Verdict::Close);
        progress.read(1);
        assert_eq!(progress.verdict(at(84), keep_alive), Verdict::Wait(at(85)));
        assert_eq!(progress.verdict(at(85), keep_alive), Verdict::GiveUp);
        progress.begun(None);
        assert_eq!(progress.verdict(at(100), keep_alive), Verdict::Wait(at(175)));
        progress.received();
        assert_eq!(progress.verdict(at(200), keep_alive), Verdict::Wait(at(275)));
        progress.ended(at(300));
        assert_eq!(progress.verdict(at(301), keep_alive), Verdict::Wait(at(375)));
        assert_eq!(progress.verdict(at(385), keep_alive), Verdict::GiveUp, "whose answers are unread");
    }

    #[test]
    fn little_is_read_beyond_a_request() {
        let progress = Progress::new(clock::monotonic());
        assert_eq!(progress.round(), ROUND);
        progress.begun(Some(100_000));
        for round in [BODY_ROUND, 100_000 - BODY_ROUND, ROUND] {
            assert_eq!(progress.round(), round);
            progress.read(round);
        }
        progress.received();
        assert_eq!(progress.round(), 0);
        progress.ended(clock::monotonic());
        progress.begun(None);
        assert_eq!(progress.round(), ROUND);
    }
}
