//! The connections of the sinks, and what is done with each request.

use std::future::pending;
use std::sync::Arc;

use anyhow::{Context, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::Shared;
use super::forward::{Read, forward};
use super::hold::{Gate, Holder, Moment};
use super::refusal::refusal;
use super::rule::{Act, Fault};
use crate::wait::for_a_while;

type Answer = Response<Full<Bytes>>;

/// Accepts connections until it is aborted.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // What cannot be accepted has been given up by its sender.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&shared)));
        }
    }
}

/// Serves one connection. Whenever we are the first to close it, that is a reset.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let mut away = shared.away.subscribe();
    if stream.set_zero_linger().is_err() || *away.borrow() {
        return;
    }
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // An error is a sender that has gone, or a reset that was wanted.
        _ = served => {}
        _ = away.wait_for(|away| *away) => {}
    }
}

/// An error resets the connection.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let key = key(head.uri.path());
    let act = shared.act(&head.method, &key);
    // On a task of its own: what is on its way to S3 gets there, also if its sender dies meanwhile.
    tokio::spawn(async move { perform(act, &shared.upstream, &key, (head, body)).await }).await?
}

async fn perform(act: Act, upstream: &str, key: &str, request: Read) -> Result<Answer> {
    match act {
        Act::Pass => forward(upstream, request).await,
        Act::Fail(fault) => fail(fault, upstream, request).await,
        Act::Hold(moment, holder) => hold(moment, &holder, upstream, key, request).await,
    }
}

async fn fail(fault: Fault, upstream: &str, request: Read) -> Result<Answer> {
    let reset = "the connection is to be reset";
    match fault {
        Fault::InternalError => {
            let message = "We encountered an internal error. Please try again.";
            Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message))
        }
        Fault::SlowDown => {
            let message = "Please reduce your request rate.";
            Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message))
        }
        Fault::AccessDenied => Ok(refusal(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")),
        Fault::Lost => None.context(reset),
        Fault::AnswerLost => forward(upstream, request).await.and(None.context(reset)),
        Fault::Hang => pending().await,
        Fault::Slow(time) => {
            for_a_while(time).await;
            forward(upstream, request).await
        }
    }
}

async fn hold(moment: Moment, holder: &Holder, upstream: &str, key: &str, request: Read) -> Result<Answer> {
    let gone = "the test is over";
    match moment {
        Moment::Before => {
            let Some(mut gate) = Gate::shut(key, holder) else { return forward(upstream, request).await };
            gate.open().await.context(gone)?;
            let answer = forward(upstream, request).await?;
            gate.tell(answer.status().as_u16());
            Ok(answer)
        }
        Moment::After => {
            let answer = forward(upstream, request).await?;
            if let Some(mut gate) = Gate::shut(key, holder) {
                gate.open().await.context(gone)?;
                gate.tell(answer.status().as_u16());
            }
            Ok(answer)
        }
    }
}

/// The key in a path-style address, `/bucket/key`: empty for the bucket itself.
fn key(path: &str) -> String {
    let key = path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(_, key)| key);
    // The only character of our keys that clients escape.
    key.replace("%3D", "=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_what_comes_after_the_bucket() {
        assert_eq!(["/b/raw/dt%3D1/x", "/b/", "/b", "/"].map(key), ["raw/dt=1/x", "", "", ""]);
    }
}
