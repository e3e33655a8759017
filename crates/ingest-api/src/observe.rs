//! What is seen of every request: its id, its metrics, its line in the access log; and how many are being answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest};
use service::config::Ingest;
use service::{Shutdown, clock};

use crate::access_log::{AccessLog, Entry, Sampler};
use crate::body;
use crate::connection::Progress;
use crate::guard::{Caller, address};
use crate::metrics::{Requests, Route};
use crate::problem::Problem;

/// Names a request in its answer and in the log. A client may choose it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most characters of an id that a client chooses.
pub(crate) const MAX_ID_LEN: usize = 64;
/// The most characters of a path in the log, and of a reason, which may repeat what the client sent.
const MAX_LOGGED_LEN: usize = 256;

/// Requests to the API, of which clients send more; health and metrics are asked for ever.
#[derive(Debug, Default)]
pub(crate) struct Active {
    begun: AtomicU64,
    ended: AtomicU64,
}

/// One of them; it has ended when this is dropped, answered or given up by its client.
struct OneActive(Arc<Active>);

impl Active {
    /// How many there were, if none is being answered.
    pub(crate) fn if_idle(&self) -> Option<u64> {
        let ended = self.ended.load(Ordering::Acquire);
        (self.begun.load(Ordering::Acquire) == ended).then_some(ended)
    }

    fn begin(self: &Arc<Self>) -> OneActive {
        self.begun.fetch_add(1, Ordering::AcqRel);
        OneActive(Arc::clone(self))
    }
}

impl Drop for OneActive {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
    }
}

/// Sees the requests of one worker thread.
pub(crate) struct Observer {
    requests: Requests,
    active: Arc<Active>,
    log: AccessLog,
    sampler: RefCell<Sampler>,
    since: Instant,
    trusted_hops: usize,
    shutdown: Shutdown,
}

/// A request that is being answered.
pub(crate) struct Begun {
    started: Instant,
    route: Route,
    id: HeaderValue,
    connection: Option<Rc<Progress>>,
    _active: Option<OneActive>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.ended(clock::monotonic());
        }
    }
}

impl Observer {
    pub(crate) fn new(active: Arc<Active>, log: AccessLog, config: &Ingest, shutdown: Shutdown) -> Self {
        Self {
            requests: Requests::new(),
            active,
            log,
            sampler: RefCell::new(Sampler::new(config.access_log_every)),
            since: clock::monotonic(),
            trusted_hops: config.trusted_hops,
            shutdown,
        }
    }

    pub(crate) fn begin(&self, request: &ServiceRequest) -> Begun {
        let route = Route::of(request.path());
        let connection = request.conn_data::<Rc<Progress>>().cloned();
        if let Some(connection) = &connection {
            connection.begun(body::announced(request.headers()));
        }
        let chosen = request.headers().get(REQUEST_ID).filter(|id| is_id(id.as_bytes()));
        Begun {
            started: clock::monotonic(),
            route,
            id: chosen.cloned().unwrap_or_else(new_id),
            connection,
            _active: route.is_api().then(|| self.active.begin()),
        }
    }

    pub(crate) fn end<B>(&self, begun: &Begun, answer: &mut ServiceResponse<B>) {
        let (took, status) = (begun.started.elapsed(), answer.status().as_u16());
        let head = answer.response_mut().head_mut();
        head.headers_mut().insert(REQUEST_ID, begun.id.clone());
        if self.shutdown.requested() {
            // Tells the client to open its next connection elsewhere.
            head.set_connection_type(ConnectionType::Close);
        }
        self.requests.answered(begun.route, status, took);
        let second = begun.started.duration_since(self.since).as_secs();
        if !begun.route.is_management() && self.sampler.borrow_mut().chooses(status, second) {
            let request = answer.request();
            let problem = answer.response().error().and_then(|error| error.as_error::<Problem>());
            self.log.log(Entry {
                request_id: String::from_utf8_lossy(begun.id.as_bytes()).into_owned(),
                method: request.method().to_string(),
                path: request.path().chars().take(MAX_LOGGED_LEN).collect(),
                status,
                took,
                caller: self.caller(request),
                detail: problem
                    .map(|problem| problem.detail.chars().take(MAX_LOGGED_LEN).collect())
                    .unwrap_or_default(),
            });
        }
    }
}

impl Observer {
    /// Its key's name if it has one, else its address.
    fn caller(&self, request: &HttpRequest) -> String {
        match request.extensions().get::<Caller>() {
            Some(caller) => caller.to_string(),
            None => address::of(request, self.trusted_hops).to_string(),
        }
    }
}

fn is_id(text: &[u8]) -> bool {
    (1..=MAX_ID_LEN).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    HeaderValue::try_from(format!("{:016x}", rand::random::<u64>()))
        .unwrap_or_else(|_| HeaderValue::from_static("none"))
}
