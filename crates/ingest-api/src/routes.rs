//! The endpoints: read the body, check it, hand it to Kafka, wait, answer.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::web::{self, Bytes, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use model::Pageview;
use service::clock;
use service::management::{Answer, Management, PATHS};

use crate::metrics;
use crate::problem::Problem;
use crate::producer::Producer;
use crate::request::{self, Event, Limits, MAX_BATCH_BYTES};

/// Line breaks and spaces around an event that is as large as it may be.
const ROOM_AROUND: usize = 1024;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) producer: Producer,
    pub(crate) management: Management,
    pub(crate) limits: Limits,
    pub(crate) delivery_timeout: Duration,
}

pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(
        web::resource("/api/pageviews")
            .route(web::post().to(post_single))
            .default_service(web::to(async || Problem::method_not_allowed("POST").response())),
    )
    .service(
        web::resource("/api/pageviews/batch")
            .route(web::post().to(post_batch))
            .default_service(web::to(async || Problem::method_not_allowed("POST").response())),
    );
    for path in PATHS {
        app.service(
            web::resource(path)
                .route(web::get().to(manage))
                .route(web::head().to(manage))
                .default_service(web::to(async || Problem::method_not_allowed("GET, HEAD").response())),
        );
    }
    app.default_service(web::to(async |request: HttpRequest| Problem::not_found(request.path()).response()));
}

async fn post_single(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let body = read(&request, payload, Pageview::MAX_BYTES + ROOM_AROUND).await?;
    let event = count_faults(request::single(&body, clock::now(), state.limits))?;
    deliver(&state, "single", &[event]).await
}

async fn post_batch(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
) -> Result<HttpResponse, Problem> {
    let body = read(&request, payload, MAX_BATCH_BYTES).await?;
    let events = count_faults(request::batch(&body, clock::now(), state.limits))?;
    deliver(&state, "batch", &events).await
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

async fn read(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    request::check_content(header(CONTENT_TYPE), header(CONTENT_ENCODING))?;
    let too_large =
        || Problem::too_large(format!("the body is too large: at most {limit} bytes are accepted"));
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match payload.to_bytes_limited(limit).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(Problem::invalid(format!("the body ended early: {error}"), Vec::new())),
        Err(_exceeded) => Err(too_large()),
    }
}

fn count_faults<T>(result: Result<T, Problem>) -> Result<T, Problem> {
    result
        .inspect_err(|problem| problem.errors.iter().for_each(|fault| metrics::rejected(fault.error.reason)))
}

/// 202 once Kafka has all `events`, 503 when that is not known in time.
async fn deliver(
    state: &State,
    endpoint: &'static str,
    events: &[Event<'_>],
) -> Result<HttpResponse, Problem> {
    let Ok(request) = state.producer.send(events) else {
        let detail = "too much is on its way to Kafka already: nothing was stored, send it again later";
        return Err(Problem::unavailable(detail.into(), None));
    };
    let answered = tokio::time::timeout(state.delivery_timeout, request.wait()).await.is_ok();
    if answered && request.all_stored() {
        metrics::produced(endpoint, events.len());
        let body = format!(r#"{{"accepted":{}}}"#, events.len());
        return Ok(HttpResponse::Accepted().content_type("application/json").body(body));
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
    Err(Problem::unavailable(detail, (endpoint == "batch").then(|| request.stored())))
}
