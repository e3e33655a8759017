//! One request to S3 and its answer, over a connection of its own.

use anyhow::Result;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, EXPECT, TRANSFER_ENCODING};
use hyper::http::{request, response};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A request whose body was read.
pub(super) type Read = (request::Parts, Bytes);

/// Sends it to `upstream`, as it came.
pub(super) async fn forward(upstream: &str, (mut head, body): Read) -> Result<Response<Full<Bytes>>> {
    strip(&mut head.headers);
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender.
    tokio::spawn(connection);
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (mut head, body): (response::Parts, _) = answer.into_parts();
    strip(&mut head.headers);
    Ok(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
}

/// Takes away what is between two neighbours only.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, EXPECT, TRANSFER_ENCODING] {
        headers.remove(name);
    }
}
