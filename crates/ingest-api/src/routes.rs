//! The endpoints: read the body, check it, hand it to Kafka, wait, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpMessage as _, HttpRequest, HttpResponse, Resource};
use serde::Serialize;
use service::clock;
use service::management::{Answer, Management, PATHS};
use utoipa::ToSchema;

use crate::delivery::Budget;
use crate::guard::Guard;
use crate::handover::Flight;
use crate::headers::{self, IdempotencyKey};
use crate::metrics::{self, Endpoint, Handles};
use crate::problem::Problem;
use crate::producer::{Overloaded, Producer};
use crate::request::{self, Admission, Event, Limits, MAX_BATCH_BYTES, MAX_SINGLE_BYTES};
use crate::{body, docs};

/// draft-ietf-httpapi-idempotency-key-header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) guard: Arc<Guard>,
    pub(crate) producer: Producer,
    /// For bodies that are being read.
    pub(crate) reading: Arc<Budget>,
    pub(crate) metrics: Handles,
    pub(crate) management: Management,
    pub(crate) limits: Limits,
    pub(crate) delivery_timeout: Duration,
}

/// The answer to events that were stored.
#[derive(Serialize, ToSchema)]
pub(crate) struct Accepted {
    /// The number of events that all in-sync replicas have.
    #[schema(minimum = 1)]
    accepted: usize,
}

pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(taking("POST", web::resource("/api/pageviews").route(web::post().to(post_single))))
        .service(taking("POST", web::resource("/api/pageviews/batch").route(web::post().to(post_batch))));
    for path in PATHS {
        app.service(read_only(path, manage));
    }
    docs::configure(app);
    app.default_service(web::to(async |request: HttpRequest| refuse(Problem::not_found(request.path()))));
}

/// A resource that is read with GET, or HEAD.
pub(crate) fn read_only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args, Output = HttpResponse> + Clone,
    Args: FromRequest + 'static,
{
    let resource = web::resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler));
    taking("GET, HEAD", resource)
}

/// Refuses other methods than `methods`.
fn taking(methods: &'static str, resource: Resource) -> Resource {
    resource.default_service(web::to(move || async move { refuse(Problem::method_not_allowed(methods)) }))
}

/// As an error, so that the access log tells why.
const fn refuse(problem: Problem) -> Result<HttpResponse, Problem> {
    Err(problem)
}

async fn post_single(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let key = state.before_body(&request, MAX_SINGLE_BYTES)?;
    let body = body::read(&request, payload, MAX_SINGLE_BYTES, &state.reading).await?;
    let event = count_faults(request::single(&body, state.admission(key.as_ref())))?;
    let sent = state.send(&[event])?;
    // Kafka's client has a copy.
    drop(body);
    delivered(&state, Endpoint::Single, sent).await
}

async fn post_batch(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let key = state.before_body(&request, MAX_BATCH_BYTES)?;
    let body = body::read(&request, payload, MAX_BATCH_BYTES, &state.reading).await?;
    let events = count_faults(request::batch(&body, state.admission(key.as_ref())))?;
    let sent = state.send(&events)?;
    drop(events);
    drop(body);
    delivered(&state, Endpoint::Batch, sent).await
}

async fn manage(request: HttpRequest, state: Data<State>) -> HttpResponse {
    let Answer { status, content_type, body } = state
        .management
        .answer(request.path())
        .unwrap_or_else(|| Answer::problem(404, "Not Found", "there is no such endpoint"));
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap_or_default())
        .content_type(content_type)
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}

impl State {
    /// What can be refused without a look at the body is, before it is read.
    fn before_body(&self, request: &HttpRequest, limit: usize) -> Result<Option<IdempotencyKey>, Problem> {
        if let Some(caller) = self.guard.admit(request)? {
            request.extensions_mut().insert(caller);
        }
        let headers = request.headers();
        headers::check_content_type(headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes))?;
        let announced = body::announced(headers).unwrap_or(0);
        if announced > limit {
            return Err(Problem::body_too_large(limit));
        }
        if !self.producer.has_room(announced) {
            return Err(overloaded());
        }
        headers.get(IDEMPOTENCY_KEY).map(|key| IdempotencyKey::parse(key.as_bytes())).transpose()
    }

    fn send(&self, events: &[Event<'_>]) -> Result<Sent, Problem> {
        let at = clock::monotonic();
        let flight = self.producer.send(events).map_err(|Overloaded| overloaded())?;
        Ok(Sent { flight, events: events.len(), at })
    }

    fn admission<'a>(&self, idempotency_key: Option<&'a IdempotencyKey>) -> Admission<'a> {
        Admission { now: clock::now(), limits: self.limits, idempotency_key }
    }
}

fn overloaded() -> Problem {
    let detail = "too much is on its way to Kafka already: nothing was stored, send it again later";
    Problem::unavailable(detail.into(), None)
}

fn count_faults<T>(result: Result<T, Problem>) -> Result<T, Problem> {
    result.inspect_err(|problem| {
        let rejected = problem.rejected.iter().flat_map(|rejected| rejected.iter());
        rejected.for_each(|(reason, count)| metrics::rejected(reason, count));
    })
}

/// A request's events on their way to Kafka.
struct Sent {
    flight: Arc<Flight>,
    events: usize,
    at: Instant,
}

/// 202 once Kafka has all of them, 503 when that is not known in time.
async fn delivered(state: &State, endpoint: Endpoint, sent: Sent) -> Result<HttpResponse, Problem> {
    let Sent { flight, events, at } = sent;
    let answered = tokio::time::timeout(state.delivery_timeout, flight.wait()).await.is_ok();
    if answered {
        state.metrics.delivered(at.elapsed());
    }
    if answered && flight.all_stored() {
        state.metrics.produced(endpoint, events);
        return Ok(HttpResponse::Accepted().json(Accepted { accepted: events }));
    }
    let detail = if answered {
        "Kafka refused events of this request".to_owned()
    } else {
        format!(
            "Kafka did not acknowledge within {:?}: the events are perhaps stored; send them again, with an event_id \
             if each must count once",
            state.delivery_timeout
        )
    };
    Err(Problem::unavailable(detail, (endpoint == Endpoint::Batch).then(|| flight.stored())))
}
