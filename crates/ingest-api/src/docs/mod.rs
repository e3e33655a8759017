//! The API described for programs (`/openapi.json`) and for people (`/docs`), from the binary alone.

mod openapi;
mod schemas;

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, X_CONTENT_TYPE_OPTIONS};
use actix_web::web::{Bytes, ServiceConfig};

use crate::routes::read_only;

/// The page runs its own script, talks to this server, and does nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| openapi::document().to_json().map(Bytes::from).unwrap_or_default());

pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(read_only("/", async || {
        HttpResponse::TemporaryRedirect().insert_header((LOCATION, "docs")).finish()
    }))
    .service(read_only("/openapi.json", async || file("application/json", DOCUMENT.clone())))
    .service(read_only("/docs", async || file("text/html; charset=utf-8", include_str!("page.html"))))
    .service(read_only("/docs/page.css", async || file("text/css; charset=utf-8", include_str!("page.css"))))
    .service(read_only("/docs/page.js", async || {
        file("text/javascript; charset=utf-8", include_str!("page.js"))
    }));
}

fn file(content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(body.into())
}
