//! The HTTP server: its socket, its timeouts, and a stop that drops nothing.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service as _, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::{Context as _, anyhow};
use service::{Process, clock};
use socket2::{Domain, Protocol, Socket, Type};

use crate::metrics;
use crate::producer::Producer;
use crate::request::Limits;
use crate::routes::{self, State};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// How long a client may take for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Of `shutdown.grace`, what is kept for Kafka's last answers once no connection is left.
pub(crate) const FLUSH: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: longer than the load balancers in front keep theirs, so that they close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Without a request for so long, clients have moved on to other processes.
const QUIET: Duration = Duration::from_millis(100);
/// The longest time to wait for that: where there is no other process, they keep coming.
const UNTIL_QUIET: Duration = Duration::from_secs(2);

pub(crate) struct Server {
    handle: ServerHandle,
    requests: Arc<Requests>,
    /// The longest time that a stop waits for clients to find another process.
    until_quiet: Duration,
}

/// Requests to the API, of which clients send more; health and metrics are asked for ever.
#[derive(Debug, Default)]
struct Requests {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Requests {
    /// How many there were, if none is being answered.
    fn if_idle(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::Acquire);
        (self.begun.load(Ordering::Acquire) == ended).then_some(ended)
    }
}

impl Server {
    pub(crate) fn start(process: &Process, producer: &Producer) -> anyhow::Result<Self> {
        let config = &process.config;
        let state = State {
            producer: producer.clone(),
            management: process.management.clone(),
            limits: Limits {
                max_future_skew: config.pipeline.max_future_skew,
                max_past: config.ingest.max_past,
            },
            delivery_timeout: config.ingest.delivery_timeout,
        };
        let after_drain = config.shutdown.grace.saturating_sub(config.shutdown.drain_delay);
        let until_quiet = UNTIL_QUIET.min(after_drain / 4);
        let connections = after_drain.saturating_sub(until_quiet).saturating_sub(FLUSH);
        let listener = listen(&config.server.host, config.server.port)?;
        let shutdown = process.shutdown.clone();
        let requests = Arc::<Requests>::default();
        let counter = Arc::clone(&requests);
        let server = HttpServer::new(move || {
            let (shutdown, counter) = (shutdown.clone(), Arc::clone(&counter));
            App::new()
                .app_data(Data::new(state.clone()))
                .wrap_fn(move |request, service| {
                    let (started, leaving) = (clock::monotonic(), shutdown.clone());
                    let counted = request.path().starts_with("/api/").then(|| Arc::clone(&counter));
                    if let Some(requests) = &counted {
                        requests.begun.fetch_add(1, Ordering::AcqRel);
                    }
                    let answer = service.call(request);
                    async move {
                        let answer = answer.await;
                        if let Some(requests) = counted {
                            requests.ended.fetch_add(1, Ordering::AcqRel);
                        }
                        let mut response = answer?;
                        if leaving.requested() {
                            // Tells the client to open its next connection elsewhere.
                            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
                        }
                        metrics::request(route(&response), response.status().as_u16(), started.elapsed());
                        Ok(response)
                    }
                })
                .configure(routes::configure)
        })
        .listen(listener)
        .context("cannot serve")?
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(connections.as_secs().max(1))
        .disable_signals()
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { handle, requests, until_quiet })
    }

    /// Goes on serving for `drain_delay`, while readiness is down and load balancers look away; then accepts nothing
    /// more and finishes what it has.
    ///
    /// What actix has accepted and not begun to read it drops, and what waits to be accepted the kernel resets: clients
    /// that share the port with another process are given the time to have found it.
    pub(crate) async fn stop(self, drain_delay: Duration) {
        wait(drain_delay).await;
        for _ in 0..self.until_quiet.as_millis() / QUIET.as_millis() {
            let before = self.requests.if_idle();
            wait(QUIET).await;
            if before.is_some() && self.requests.if_idle() == before {
                break;
            }
        }
        self.stop_now().await;
    }

    /// Accepts nothing more, and finishes what it has.
    pub(crate) async fn stop_now(self) {
        self.handle.stop(true).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "gives load balancers and clients time, which announce nothing"
)]
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// The route as a label: few values, whatever paths clients invent.
fn route<B>(response: &ServiceResponse<B>) -> &'static str {
    match response.request().path() {
        "/api/pageviews" => "/api/pageviews",
        "/api/pageviews/batch" => "/api/pageviews/batch",
        "/metrics" => "/metrics",
        path if path.starts_with("/actuator/") => "/actuator",
        _ => "other",
    }
}

/// Several processes of one machine may share the port (`SO_REUSEPORT`): that is how the process stack scales.
fn listen(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let address = service::resolve(host, port).map_err(|error| anyhow!(error))?;
    let open = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok::<_, std::io::Error>(socket.into())
    };
    open().with_context(|| format!("cannot listen on {address} (is it in use? server.port changes it)"))
}
