//! Which origins browsers may post from, by the Fetch standard's CORS protocol, as crate `actix-cors` has it.

use actix_cors::{Cors, CorsError};
use actix_web::dev::{RequestHead, ServiceResponse};
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER,
};
use service::config::Origin;

use super::API_KEY;
use crate::observe::REQUEST_ID;
use crate::problem::Problem;
use crate::routes::IDEMPOTENCY_KEY;

/// How long a browser need not ask again, in seconds.
const MAX_AGE: usize = 3600;

/// Lets browsers post from `origins`, and from our own page; requests that say they come from elsewhere are refused.
pub(crate) fn layer(origins: &[Origin]) -> Cors {
    let headers: [HeaderName; 6] =
        [CONTENT_TYPE, CONTENT_ENCODING, IDEMPOTENCY_KEY, AUTHORIZATION, API_KEY, REQUEST_ID];
    let cors = Cors::default()
        .allowed_methods(["GET", "POST"])
        .allowed_headers(headers)
        .expose_headers([REQUEST_ID, RETRY_AFTER])
        .max_age(MAX_AGE)
        .block_on_origin_mismatch(true);
    if origins.contains(&Origin::Any) {
        return cors.allow_any_origin().send_wildcard();
    }
    let one = |cors: Cors, origin: &Origin| match origin {
        Origin::Any => cors,
        Origin::One(text) => cors.allowed_origin(text),
    };
    origins.iter().fold(cors.allowed_origin_fn(is_same_origin), one)
}

/// Whether a page of ours asks.
fn is_same_origin(origin: &HeaderValue, request: &RequestHead) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    authority.is_some_and(|(_, authority)| {
        request.headers().get(HOST).is_some_and(|host| host.as_bytes() == authority.as_bytes())
    })
}

/// The refusal of `actix-cors`, as one of ours.
pub(crate) fn in_our_words<B>(answer: &ServiceResponse<B>) -> Option<Problem> {
    let error = answer.response().error()?.as_error::<CorsError>()?;
    Some(Problem::invalid(format!("{error} (ingest.cors_origins lists those that may post)"), Vec::new()))
}
