//! Every refusal, as `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use model::{FieldError, Reason};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// What is wrong with a request, or with us.
#[derive(Debug, serde::Serialize)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: &'static str,
    /// What to change.
    pub detail: String,
    /// The faults of events, where events are at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// Of a batch that could not be acknowledged: the events that Kafka is known to have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<Vec<usize>>,
    /// Of a path asked with another method: those it takes, for the header `Allow`.
    #[serde(skip)]
    allowed: Option<&'static str>,
}

/// One fault of one event.
#[derive(Debug)]
pub struct Fault {
    /// Which event of the request, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: FieldError,
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Fault", 4)?;
        fields.serialize_field("index", &self.index)?;
        fields.serialize_field("field", self.error.field)?;
        fields.serialize_field("reason", self.error.reason.as_str())?;
        fields.serialize_field("detail", &self.error.detail)?;
        fields.end()
    }
}

impl Problem {
    fn new(status: u16, title: &'static str, detail: String) -> Self {
        Self { status, title, detail, errors: Vec::new(), stored: None, allowed: None }
    }

    /// 400, or 413 where one of the events is too large.
    pub(crate) fn invalid(detail: String, errors: Vec<Fault>) -> Self {
        if errors.iter().any(|fault| fault.error.reason == Reason::TooLarge) {
            return Self { errors, ..Self::too_large(detail) };
        }
        Self { errors, ..Self::new(400, "Bad Request", detail) }
    }

    pub(crate) fn not_found(path: &str) -> Self {
        let detail = format!("there is no {path}: post events to /api/pageviews or /api/pageviews/batch");
        Self::new(404, "Not Found", detail)
    }

    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = format!("this path takes {allowed}");
        Self { allowed: Some(allowed), ..Self::new(405, "Method Not Allowed", detail) }
    }

    pub(crate) fn too_large(detail: String) -> Self {
        Self::new(413, "Content Too Large", detail)
    }

    pub(crate) fn unsupported(detail: String) -> Self {
        Self::new(415, "Unsupported Media Type", detail)
    }

    pub(crate) fn unavailable(detail: String, stored: Option<Vec<usize>>) -> Self {
        Self { stored, ..Self::new(503, "Service Unavailable", detail) }
    }

    pub(crate) fn response(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.content_type("application/problem+json");
        if self.status == 503 {
            response.insert_header((RETRY_AFTER, "1"));
        }
        if let Some(allowed) = self.allowed {
            response.insert_header((ALLOW, allowed));
        }
        response.body(serde_json::to_vec(self).unwrap_or_default())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.response()
    }
}
