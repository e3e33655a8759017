//! The endpoints that every service has: health and metrics.
//!
//! ingest-api answers them beside its own routes; for the other services the frame in `program` serves them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::health::{Health, Report};
use crate::metrics::Metrics;

/// Answers health and metrics; cheap to clone.
#[derive(Clone)]
pub struct Management {
    health: Health,
    metrics: Metrics,
}

/// An answer, whatever HTTP server sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// The paths that [`Management::answer`] knows.
pub const PATHS: [&str; 5] = [
    "/actuator/health",
    "/actuator/health/liveness",
    "/actuator/health/readiness",
    "/actuator/prometheus",
    "/metrics",
];

impl Management {
    pub(crate) fn new(health: Health, metrics: Metrics) -> Self {
        Self { health, metrics }
    }

    /// The answer to a GET of `path`; `None` for paths that are not in [`PATHS`].
    #[must_use]
    pub fn answer(&self, path: &str) -> Option<Answer> {
        match path {
            "/actuator/health" => Some(self.health.overall().into()),
            "/actuator/health/liveness" => Some(self.health.liveness().into()),
            "/actuator/health/readiness" => Some(self.health.readiness().into()),
            "/metrics" | "/actuator/prometheus" => Some(Answer {
                status: 200,
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body: self.metrics(),
            }),
            _ => None,
        }
    }

    /// What `/metrics` shows.
    pub(crate) fn metrics(&self) -> String {
        self.health.record();
        self.metrics.render()
    }

    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let answer = match *request.method() {
            Method::GET | Method::HEAD => self
                .answer(request.uri().path())
                .unwrap_or_else(|| Answer::problem(404, "Not Found", &not_found())),
            _ => Answer::problem(405, "Method Not Allowed", "health and metrics are read with GET"),
        };
        let mut response = Response::new(Full::new(Bytes::from(answer.body)));
        *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(answer.content_type));
        headers.insert(CACHE_CONTROL, hyper::header::HeaderValue::from_static("no-store"));
        response
    }
}

impl Answer {
    /// An RFC 9457 problem.
    #[must_use]
    pub fn problem(status: u16, title: &str, detail: &str) -> Self {
        let body = serde_json::json!({ "title": title, "status": status, "detail": detail }).to_string();
        Self { status, content_type: "application/problem+json", body }
    }
}

impl From<Report> for Answer {
    fn from(report: Report) -> Self {
        let status = if report.up { 200 } else { 503 };
        Self { status, content_type: "application/json", body: report.json }
    }
}

fn not_found() -> String {
    format!("there is {}", PATHS.join(", "))
}

/// Serves health and metrics on `listener` until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, management: Management) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for health and metrics");
                pause().await;
                continue;
            }
        };
        let management = management.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let response = management.respond(&request);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10))
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection for health and metrics ended early");
            }
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "out of file descriptors: nothing to wait for but time")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Opens the port of health and metrics.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
