//! Serves the page, the snapshots and the stream of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use service::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::guard::{Guard, Refusal};
use crate::live::snapshot::Snapshot;

/// The page runs its own script, talks to this server, and does nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
/// On every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (HeaderName::from_static("content-security-policy"), POLICY),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (HeaderName::from_static("referrer-policy"), "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CACHE_CONTROL, "no-store"),
];
/// How many connections are served at a time; a page that is open has two.
const CONNECTIONS: usize = 128;
/// How long the connections may take to end.
const GRACE: Duration = Duration::from_secs(2);

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// What every connection has.
#[derive(Clone)]
struct Site {
    guard: Guard,
    snapshots: Snapshots,
    shutdown: Shutdown,
}

/// Serves until it is told to stop, and returns when the open streams have ended.
pub(super) async fn serve(listener: TcpListener, guard: Guard, snapshots: Snapshots, shutdown: Shutdown) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let site = Site { guard, snapshots, shutdown: shutdown.clone() };
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.wait() => break,
        };
        match accepted {
            Ok((stream, _peer)) => {
                let site = site.clone();
                tokio::spawn(async move {
                    site.connection(stream).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, most likely.
            Err(_) => pause(Duration::from_millis(100)).await,
        }
    }
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    // All but the one in hand, which went with the loop.
    let _ = tokio::time::timeout(GRACE, room.acquire_many(all)).await;
}

impl Site {
    async fn connection(self, stream: TcpStream) {
        let shutdown = self.shutdown.clone();
        let service = service_fn(move |request| {
            let response = self.answer(&request);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(30))
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // A browser that goes away is no error.
        tokio::select! {
            _ = &mut connection => return,
            () = shutdown.wait() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        if let Err(refusal) = self.guard.admit(request.method(), host) {
            return refused(refusal);
        }
        match request.uri().path() {
            "/" => file("text/html; charset=utf-8", include_str!("page.html")),
            "/page.css" => file("text/css; charset=utf-8", include_str!("page.css")),
            "/page.js" => file("text/javascript; charset=utf-8", include_str!("page.js")),
            "/snapshot.json" => file("application/json", json(&self.snapshots.borrow())),
            "/healthz" => file("application/json", r#"{"status":"UP"}"#),
            "/events" => response(200, "text/event-stream", self.events()),
            _ => refused((404, "there is /, /snapshot.json, /events and /healthz")),
        }
    }

    /// A snapshot at once, and each that follows, until the browser goes or the server does.
    fn events(&self) -> Body {
        let mut snapshots = self.snapshots.clone();
        snapshots.mark_changed();
        let events = stream::unfold((snapshots, self.shutdown.clone()), async |(mut snapshots, shutdown)| {
            tokio::select! {
                changed = snapshots.changed() => changed.ok()?,
                () = shutdown.wait() => return None,
            }
            let event = format!("data: {}\n\n", json(&snapshots.borrow_and_update()));
            Some((Ok(Frame::data(Bytes::from(event))), (snapshots, shutdown)))
        });
        StreamBody::new(events).boxed_unsync()
    }
}

fn json(snapshot: &Snapshot) -> String {
    // Plain structs of strings and numbers: serialization into memory has no way to fail.
    serde_json::to_string(snapshot).unwrap_or_default()
}

fn file(content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    response(200, content_type, Full::new(body.into()).boxed_unsync())
}

fn refused((status, detail): Refusal) -> Response<Body> {
    let body = serde_json::json!({ "status": status, "detail": detail }).to_string();
    let mut refusal = response(status, "application/problem+json", Full::new(body.into()).boxed_unsync());
    if status == 405 {
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    refusal
}

fn response(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

#[expect(clippy::disallowed_methods, reason = "out of file descriptors: nothing to wait for but time")]
async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}
