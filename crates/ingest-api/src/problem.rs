//! Every refusal, as `application/problem+json` (RFC 9457).

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use model::{FieldError, Reason};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Of what a client sent, the most that is repeated to it.
pub(crate) const MAX_QUOTED: usize = 100;

/// What is wrong with a request, or with us.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
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
    pub stored: Option<Box<[usize]>>,
    /// All faults, also those that are not told.
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) rejected: Option<Box<Rejected>>,
    /// A header that belongs to it.
    #[serde(skip)]
    #[schema(ignore)]
    header: Option<Header>,
}

/// A header that a problem needs to be understood by programs.
#[derive(Debug, Clone, Copy)]
enum Header {
    /// `Allow`: the methods that the path takes.
    Allow(&'static str),
    /// `Retry-After`, in seconds.
    RetryAfter(u32),
    /// `Accept-Encoding`: the codings that are known (RFC 9110, section 15.5.16).
    Codings(&'static str),
    /// `WWW-Authenticate`: what is asked for.
    Authenticate(&'static str),
    /// `Connection: close`: what is left of the body is not read.
    Close,
}

impl Header {
    fn insert(self, response: &mut HttpResponseBuilder) {
        match self {
            Self::Allow(methods) => response.insert_header((ALLOW, methods)),
            Self::RetryAfter(seconds) => response.insert_header((RETRY_AFTER, seconds)),
            Self::Codings(names) => response.insert_header((ACCEPT_ENCODING, names)),
            Self::Authenticate(scheme) => response.insert_header((WWW_AUTHENTICATE, scheme)),
            Self::Close => response.force_close(),
        };
    }
}

/// One fault of one event.
#[derive(Debug)]
pub struct Fault {
    /// Which event of the request, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: FieldError,
}

/// How many faults a request has, by reason.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rejected([u64; Reason::ALL.len()]);

impl Rejected {
    pub(crate) fn add(&mut self, faults: &[FieldError]) {
        faults.iter().for_each(|fault| self.count(fault.reason));
    }

    pub(crate) const fn count(&mut self, reason: Reason) {
        self.0[reason as usize] += 1;
    }

    /// The reasons that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }
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
        Self { status, title, detail, errors: Vec::new(), stored: None, rejected: None, header: None }
    }

    /// 400, or 413 where one of the events is too large.
    pub(crate) fn invalid(detail: String, errors: Vec<Fault>) -> Self {
        if errors.iter().any(|fault| fault.error.reason == Reason::TooLarge) {
            return Self { errors, ..Self::too_large(detail) };
        }
        Self { errors, ..Self::new(400, "Bad Request", detail) }
    }

    /// With all faults, also those that are not told.
    pub(crate) fn counting(self, rejected: Rejected) -> Self {
        Self { rejected: Some(Box::new(rejected)), ..self }
    }

    pub(crate) fn unauthorized(detail: &str) -> Self {
        let header = Some(Header::Authenticate("Bearer"));
        Self { header, ..Self::new(401, "Unauthorized", detail.to_owned()) }
    }

    /// 429, for so many seconds.
    pub(crate) fn too_many_requests(detail: String, seconds: u32) -> Self {
        let header = Some(Header::RetryAfter(seconds));
        Self { header, ..Self::new(429, "Too Many Requests", detail) }
    }

    pub(crate) fn not_found(path: &str) -> Self {
        let path: String = path.chars().take(MAX_QUOTED).collect();
        let detail = format!("there is no {path}: post events to /api/pageviews or /api/pageviews/batch");
        Self::new(404, "Not Found", detail)
    }

    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = format!("this path takes {allowed}");
        let header = Some(Header::Allow(allowed));
        Self { header, ..Self::new(405, "Method Not Allowed", detail) }
    }

    pub(crate) fn too_large(detail: String) -> Self {
        Self::new(413, "Content Too Large", detail)
    }

    /// 413 for a body of more than `limit` bytes, as sent or decompressed.
    pub(crate) fn body_too_large(limit: usize) -> Self {
        Self::too_large(format!(
            "the body is too large: at most {limit} bytes are accepted, decompressed too"
        ))
    }

    /// 408 for a body that comes too slowly; the connection is not used again.
    pub(crate) fn timeout(detail: String) -> Self {
        Self { header: Some(Header::Close), ..Self::new(408, "Request Timeout", detail) }
    }

    /// 415 for a coding that is not known, with those that are.
    pub(crate) fn unsupported_coding(detail: String) -> Self {
        let header = Some(Header::Codings("gzip, zstd"));
        Self { header, ..Self::unsupported(detail) }
    }

    pub(crate) fn unsupported(detail: String) -> Self {
        Self::new(415, "Unsupported Media Type", detail)
    }

    pub(crate) fn unavailable(detail: String, stored: Option<Box<[usize]>>) -> Self {
        let header = Some(Header::RetryAfter(1));
        Self { stored, header, ..Self::new(503, "Service Unavailable", detail) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status, self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if let Some(header) = self.header {
            header.insert(&mut response);
        }
        response.body(serde_json::to_vec(self).unwrap_or_default())
    }
}
