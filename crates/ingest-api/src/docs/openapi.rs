//! The API described, as OpenAPI 3.1.

use serde_json::{Value, json};
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{ResponseBuilder, ResponsesBuilder};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, OpenApiBuilder,
    PathItem, PathsBuilder, Ref, Required,
};
use utoipa::{PartialSchema as _, ToSchema};

use super::schemas::{self, BATCH, EVENT, HEALTH};
use crate::observe::MAX_ID_LEN;
use crate::problem::{Fault, Problem};
use crate::routes::Accepted;

const DESCRIPTION: &str = "\
    HTTP in, exact one-minute counts per postcode out, every event in S3 once.\n\n\
    An event that is answered 202 is stored by all in-sync replicas of Kafka: it will be in `raw/` exactly once and be \
    counted exactly once. A 503 means *perhaps stored*: send it again, with an `event_id` or an `Idempotency-Key` if it \
    must count once.\n\n\
    Refusals are `application/problem+json` (RFC 9457). Every answer carries `X-Request-Id`: the request's own, or one \
    made for it. HTTP that cannot be read at all is answered 400, 408 or 431 without a body.";

const SINGLE: &str = "\
    Answers 202 once all in-sync replicas have the event. The record in Kafka is the event as it was sent, on one line; \
    its key is the postcode.";

const SEVERAL: &str = "\
    Answers 202 once all in-sync replicas have every event. Validation is all or nothing: one invalid event refuses the \
    batch, and `errors` tells the faults of all of them, up to the first 100.";

const BODY: &str = "\
    JSON, or the same JSON as `text/plain`, which is what a browser's `sendBeacon` sends without asking first. \
    `Content-Encoding: gzip` and `zstd` are understood.";

const IDEMPOTENCY_KEY: &str = "\
    Gives each event of the request that has no `event_id` the id `{key}:{index}`, so that the same request sent again \
    counts once. 1 to 50 visible ASCII characters, with or without quotes around them.";

const ONE: &str = include_str!("../../../model/fixtures/pageview.json");
const TWO: &str = include_str!("../../../model/fixtures/pageview-batch.json");

const INVALID: &str = "The body, an event or a header is not valid: `errors` tells what to change.";
const UNAUTHORIZED: &str =
    "API keys are asked for (`ingest.api_keys_file`), and this request has none that is known.";
const LIMITED: &str = "The caller has used up its requests (`ingest.rate_limit`).";
const UNAVAILABLE: &str = "\
    Kafka did not acknowledge in time, or too much is on its way to it. Perhaps stored: of a batch, `stored` names the \
    events that are known to be.";

/// Everything that is served.
pub(super) fn document() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Pageviews")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    let single = post("postPageview", "Stores one event", SINGLE, EVENT, example(ONE));
    let batch = post("postPageviews", "Stores several events", SEVERAL, BATCH, example(TWO));
    let health = |id, summary| {
        let operation = get(id, summary);
        let operation =
            operation.response("200", is_health("It is up.")).response("503", is_health("It is not."));
        PathItem::new(HttpMethod::Get, operation)
    };
    let metrics = |id| {
        let operation =
            get(id, "Metrics in Prometheus' text format").response("200", is_text("Every metric."));
        PathItem::new(HttpMethod::Get, operation)
    };
    let paths = PathsBuilder::new()
        .path("/api/pageviews", PathItem::new(HttpMethod::Post, single))
        .path("/api/pageviews/batch", PathItem::new(HttpMethod::Post, batch))
        .path("/actuator/health", health("health", "Health, with all it depends on"))
        .path(
            "/actuator/health/liveness",
            health("liveness", "Whether the process can go on; if not, restart it"),
        )
        .path("/actuator/health/readiness", health("readiness", "Whether requests should be sent here now"))
        .path("/metrics", metrics("metrics"))
        .path("/actuator/prometheus", metrics("prometheus"));
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components().build())).build()
}

fn components() -> ComponentsBuilder {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, where `ingest.api_keys_file` is set."))
        .build();
    let header = ApiKeyValue::with_description("X-API-Key", "The same key, in a header of its own.");
    ComponentsBuilder::new()
        .schema(EVENT, schemas::event())
        .schema(BATCH, schemas::batch())
        .schema(HEALTH, schemas::health())
        .schema(Accepted::name(), Accepted::schema())
        .schema(Problem::name(), Problem::schema())
        .schema(Fault::name(), Fault::schema())
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .security_scheme("header", SecurityScheme::ApiKey(ApiKey::Header(header)))
}

fn example(fixture: &str) -> Option<Value> {
    serde_json::from_str(fixture).ok()
}

fn post(id: &str, summary: &str, description: &str, schema: &str, example: Option<Value>) -> Operation {
    let content =
        || ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).example(example.clone()).build();
    let body = RequestBodyBuilder::new()
        .description(Some(BODY))
        .content("application/json", content())
        .content("text/plain", content())
        .required(Some(Required::True))
        .build();
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(IDEMPOTENCY_KEY))
        .schema(Some(schemas::idempotency_key()));
    let accepted = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(Accepted::name())))
        .example(Some(json!({ "accepted": example.as_ref().and_then(Value::as_array).map_or(1, Vec::len) })))
        .build();
    let accepted =
        answer("All in-sync replicas have the events.").content("application/json", accepted).build();
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let seconds = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let responses = ResponsesBuilder::new()
        .response("202", accepted)
        .response("400", refusal(INVALID))
        .response("401", refusal(UNAUTHORIZED).header("WWW-Authenticate", header("`Bearer`.", text())))
        .response("408", refusal("The body came too slowly. The connection is closed."))
        .response("413", refusal("The body, the batch or one of its events is too large."))
        .response("415", refusal("`Content-Type` or `Content-Encoding` is not understood."))
        .response("429", refusal(LIMITED).header("Retry-After", header("Seconds to wait.", seconds())))
        .response("503", refusal(UNAVAILABLE).header("Retry-After", header("Seconds to wait.", seconds())));
    OperationBuilder::new()
        .operation_id(Some(id))
        .tag("events")
        .summary(Some(summary))
        .description(Some(description))
        .parameter(key)
        .request_body(Some(body))
        .responses(responses)
        .securities(Some(any_or_no_key()))
        .build()
}

fn get(id: &str, summary: &str) -> OperationBuilder {
    OperationBuilder::new().operation_id(Some(id)).tag("operations").summary(Some(summary))
}

/// With no key where none is asked for, else with either header.
fn any_or_no_key() -> [SecurityRequirement; 3] {
    let scheme = |name| SecurityRequirement::new(name, [""; 0]);
    [SecurityRequirement::default(), scheme("bearer"), scheme("header")]
}

fn answer(description: &str) -> ResponseBuilder {
    let id = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(MAX_ID_LEN));
    ResponseBuilder::new()
        .description(description)
        .header("X-Request-Id", header("The same as in the access log.", id))
}

fn header(description: &str, schema: ObjectBuilder) -> Header {
    HeaderBuilder::new().schema(schema).description(Some(description)).build()
}

fn refusal(description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    answer(description).content("application/problem+json", content)
}

fn is_health(description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(HEALTH))).build();
    answer(description).content("application/json", content)
}

fn is_text(description: &str) -> ResponseBuilder {
    let content = ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String))).build();
    answer(description).content("text/plain", content)
}
