//! The HTTP server: its socket, its timeouts, and a stop that drops nothing.

use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_server::ServerBuilder;
use actix_service::{
    IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::App;
use actix_web::dev::{AppConfig, ServerHandle, Service as _};
use actix_web::middleware::Condition;
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use anyhow::{Context as _, anyhow};
use rustls::ServerConfig;
use service::Process;
use service::config::Config;
use socket2::{Domain, Protocol, Socket, Type};

use crate::access_log::AccessLog;
use crate::connection::{Connection, HEAD_TIMEOUT};
use crate::delivery::Budget;
use crate::guard::{self, Guard, cors};
use crate::metrics::{self, Handles};
use crate::observe::{Active, Observer};
use crate::producer::Producer;
use crate::request::Limits;
use crate::routes::{self, State};

/// Connections that wait to be accepted, those past `ingest.max_connections` among them.
const BACKLOG: i32 = 4096;
/// Open files that are no clients: brokers, logs, the runtime's own.
const OTHER_FILES: u64 = 256;
/// How long a client that was refused may go on sending its body before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);
/// Of `shutdown.grace`, what is kept for Kafka's last answers once no connection is left.
pub(crate) const FLUSH: Duration = Duration::from_secs(5);
/// Without a request for so long, clients have moved on to other processes.
const QUIET: Duration = Duration::from_millis(100);
/// The longest time to wait for that: where there is no other process, they keep coming.
const UNTIL_QUIET: Duration = Duration::from_secs(2);

pub(crate) struct Server {
    handle: ServerHandle,
    active: Arc<Active>,
    /// The longest time that a stop waits for clients to find another process.
    until_quiet: Duration,
}

impl Server {
    pub(crate) fn start(
        process: &Process,
        producer: &Producer,
        listener: TcpListener,
    ) -> anyhow::Result<Self> {
        let config = process.config.clone();
        let reading = Budget::new(config.ingest.max_in_flight_bytes.0);
        let guard = Guard::start(&config).map_err(|error| anyhow!(error))?;
        let tls = guard::tls::start(&config).map_err(|error| anyhow!(error))?.map(Arc::new);
        let state = State {
            guard: Arc::new(guard),
            producer: producer.clone(),
            reading: Arc::clone(&reading),
            metrics: Handles::new(),
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
        allow_connections(config.ingest.max_connections);
        let active = Arc::<Active>::default();
        let log = AccessLog::start().context("cannot start the access log")?;
        let (seen, shutdown, ingest) = (Arc::clone(&active), process.shutdown.clone(), config.ingest.clone());
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let server = ServerBuilder::new()
            .workers(workers)
            .max_concurrent_connections(config.ingest.max_connections.div_ceil(workers))
            .shutdown_timeout(connections.as_secs().max(1))
            .disable_signals();
        let stopping = server.graceful_shutdown_signal();
        let serve = move || {
            let observer = Observer::new(Arc::clone(&seen), log.clone(), &ingest, shutdown.clone());
            let observer = Rc::new(observer);
            let cors = Condition::new(!ingest.cors_origins.is_empty(), cors::layer(&ingest.cors_origins));
            let app = App::new()
                .app_data(Data::new(state.clone()))
                .wrap(cors)
                .wrap_fn(move |request, service| {
                    let observer = Rc::clone(&observer);
                    let begun = observer.begin(&request);
                    let answer = service.call(request);
                    async move {
                        let answer = answer.await?.map_into_boxed_body();
                        let mut answer = match cors::in_our_words(&answer) {
                            Some(problem) => answer.error_response(problem),
                            None => answer,
                        };
                        observer.end(&begun, &mut answer);
                        Ok::<_, actix_web::Error>(answer)
                    }
                })
                .configure(routes::configure)
                .into_factory()
                .map_err(|error| error.error_response());
            let stopping = stopping.clone();
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                // The connection has its own clock.
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(HEAD_TIMEOUT)
                .client_disconnect_timeout(LINGER)
                .on_connect_ext(|connection: &Connection, data| {
                    data.insert(connection.progress());
                })
                .h1(map_config(app, |()| AppConfig::default()));
            accept(tls.clone(), ingest.keep_alive).and_then(http)
        };
        let server = server.listen("ingest-api", listener, serve).context("cannot serve")?.run();
        let handle = server.handle();
        tokio::spawn(server);
        tokio::spawn(tell_bytes(producer.clone(), reading));
        Ok(Self { handle, active, until_quiet })
    }

    /// Goes on serving for `drain_delay`, while readiness is down and load balancers look away; then accepts nothing
    /// more and finishes what it has.
    ///
    /// What actix has accepted and not begun to read it drops, and what waits to be accepted the kernel resets: clients
    /// that share the port with another process are given the time to have found it.
    pub(crate) async fn stop(self, drain_delay: Duration) {
        wait(drain_delay).await;
        for _ in 0..self.until_quiet.as_millis() / QUIET.as_millis() {
            let before = self.active.if_idle();
            wait(QUIET).await;
            if before.is_some() && self.active.if_idle() == before {
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

/// Makes connections of what comes in.
fn accept(
    tls: Option<Arc<ServerConfig>>,
    keep_alive: Duration,
) -> impl ServiceFactory<
    TcpStream,
    Config = (),
    Response = (Connection, Option<SocketAddr>),
    Error = DispatchError,
    InitError = (),
> {
    fn_service(move |tcp: TcpStream| {
        let tls = tls.clone();
        async move {
            let address = tcp.peer_addr().ok();
            let connection = Connection::accept(tcp, tls, keep_alive).await;
            connection.map(|connection| (connection, address)).map_err(DispatchError::Io)
        }
    })
}

/// Every connection is an open file, of which a process may have 1,024 where nobody has asked for more.
fn allow_connections(connections: usize) {
    let needed = connections as u64 + OTHER_FILES;
    match rlimit::increase_nofile_limit(needed) {
        Ok(allowed) if allowed >= needed => {}
        Ok(allowed) => tracing::warn!(
            allowed,
            needed,
            "the limit of open files is too low for ingest.max_connections (ulimit -n, LimitNOFILE=)"
        ),
        Err(error) => tracing::warn!(%error, needed, "cannot raise the limit of open files"),
    }
}

/// Tells what is held for requests, every second, for ever.
async fn tell_bytes(producer: Producer, reading: Arc<Budget>) {
    loop {
        metrics::bytes(producer.in_flight_bytes(), reading.used());
        wait(Duration::from_secs(1)).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "gives load balancers and clients time, which announce nothing; paces a gauge"
)]
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Several processes of one machine may share the port (`SO_REUSEPORT`): that is how the process stack scales.
pub(crate) fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address =
        service::resolve(&config.server.host, config.server.port).map_err(|error| anyhow!(error))?;
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
