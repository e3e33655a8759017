//! What is sent and answered, as JSON Schema. Limits are those that are checked: a test holds them against the parser.

use std::borrow::Cow;

use model::{EpochSeconds, Pageview, Postcode, Reason};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, Ref, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use crate::headers::IdempotencyKey;
use crate::problem::Fault;
use crate::request::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};

/// The name of the schema that [`event`] makes.
pub(super) const EVENT: &str = "Event";
/// The name of the schema that [`batch`] makes.
pub(super) const BATCH: &str = "Batch";
/// The name of the schema that [`health`] makes.
pub(super) const HEALTH: &str = "Health";

/// What a postcode is trimmed of (`u8::is_ascii_whitespace`).
const SPACES: &str = r"[\t\n\f\r ]*";

/// One event.
pub(super) fn event() -> Object {
    ObjectBuilder::new()
        .description(Some(format!(
            "One pageview: UTF-8 JSON of at most {} KiB. Fields that are not listed here are kept as they were sent. A \
             listed one may stand there only once.",
            Pageview::MAX_BYTES / 1024
        )))
        .property("user_id", user_id())
        .required("user_id")
        .property("postcode", postcode())
        .required("postcode")
        .property("webpage", webpage())
        .required("webpage")
        .property("timestamp", timestamp())
        .required("timestamp")
        .property("event_id", event_id())
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .build()
}

/// Several events.
pub(super) fn batch() -> Schema {
    ArrayBuilder::new()
        .description(Some(format!(
            "Several events: at most {} MiB, decompressed. All of them are accepted, or none.",
            MAX_BATCH_BYTES / (1024 * 1024)
        )))
        .items(Ref::from_schema_name(EVENT))
        .min_items(Some(1))
        .max_items(Some(MAX_BATCH_EVENTS))
        .into()
}

fn user_id() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::Custom("uint64".to_owned())))
        .description(Some("Who looked: an unsigned 64-bit number."))
        .minimum(Some(0))
        .maximum(Some(u64::MAX as usize))
        .build()
}

fn postcode() -> Object {
    let (edge, inside) = ("[A-Za-z0-9-]", "[A-Za-z0-9 -]");
    let most = Postcode::MAX_LEN - 2;
    text(format!("^{SPACES}{edge}(?:{inside}{{0,{most}}}{edge})?{SPACES}$"))
        .description(Some(format!(
            "From where: 1 to {} letters, digits, spaces and hyphens. Trimmed and upper-cased for the count.",
            Postcode::MAX_LEN
        )))
        .build()
}

fn webpage() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("At what: 1 to {} bytes of UTF-8.", Pageview::MAX_WEBPAGE_BYTES)))
        .min_length(Some(1))
        .max_length(Some(Pageview::MAX_WEBPAGE_BYTES))
        .build()
}

fn timestamp() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .description(Some(
            "When: whole seconds since 1970-01-01T00:00:00Z. Not further ahead of the server's clock than it is set to \
             accept (5 minutes).",
        ))
        .minimum(Some(0))
        .maximum(Some(EpochSeconds::MAX.0 as isize))
        .build()
}

fn event_id() -> Object {
    text(format!("^[!-~]{{1,{}}}$", Pageview::MAX_EVENT_ID_LEN))
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some(format!(
            "Makes a retry count once: an event with the same id is not counted again while its minute is open. 1 to {} \
             visible ASCII characters.",
            Pageview::MAX_EVENT_ID_LEN
        )))
        .build()
}

/// The header `Idempotency-Key`. Quotes around it are no part of it, and `""` is none.
pub(super) fn idempotency_key() -> Object {
    let most = IdempotencyKey::MAX_LEN;
    let but_one = most - 1;
    text(format!(r#"^(?:[!-~]|"[!-~]{{1,{most}}}"|[!#-~][!-~]{{1,{but_one}}}|[!-~]{{1,{but_one}}}[!#-~])$"#))
        .build()
}

fn text(pattern: String) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

fn string(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

/// The health of a process, in the shape of Spring Boot's actuator.
pub(super) fn health() -> Object {
    ObjectBuilder::new()
        .property(
            "status",
            string("`UP`, or what it is instead.").enum_values(Some(["UP", "DOWN", "OUT_OF_SERVICE"])),
        )
        .required("status")
        .property(
            "components",
            ObjectBuilder::new()
                .description(Some("What the process depends on, by name, each with its `status`.")),
        )
        .build()
}

impl ToSchema for Fault {
    fn name() -> Cow<'static, str> {
        "Fault".into()
    }
}

impl PartialSchema for Fault {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("One fault of one event."))
            .property(
                "index",
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .minimum(Some(0))
                    .description(Some("Which event of the request, from 0.")),
            )
            .required("index")
            .property("field", string("The field at fault; empty when it is the event as a whole."))
            .required("field")
            .property(
                "reason",
                string("The kind of fault, a name that stays.")
                    .enum_values(Some(Reason::ALL.map(Reason::as_str))),
            )
            .required("reason")
            .property("detail", string("What to change, in words."))
            .required("detail")
            .into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::EpochMillis;
    use proptest::prelude::*;
    use proptest::string::string_regex;
    use serde_json::{Value, json};

    use super::*;
    use crate::request::{Admission, Limits, single};

    /// Nothing is ahead of this clock.
    const NOW: EpochMillis = EpochSeconds::MAX.to_millis();
    const LIMITS: Limits = Limits { max_future_skew: Duration::ZERO, max_past: None };

    fn accepts(event: &Value) -> bool {
        single(event.to_string().as_bytes(), Admission { now: NOW, limits: LIMITS, idempotency_key: None })
            .is_ok()
    }

    /// The schema of one field, as clients read it.
    fn field(name: &str) -> Value {
        serde_json::to_value(event()).unwrap()["properties"][name].take()
    }

    fn matching(schema: &Value) -> impl Strategy<Value = String> + use<> {
        string_regex(schema["pattern"].as_str().unwrap().trim_matches(['^', '$'])).unwrap()
    }

    fn example() -> Value {
        json!({"user_id": 0, "postcode": "N1", "webpage": "w", "timestamp": 0})
    }

    proptest! {
        #[test]
        fn what_the_schema_allows_is_accepted(
            user_id in 0..=field("user_id")["maximum"].as_u64().unwrap(),
            postcode in matching(&field("postcode")),
            webpage in string_regex(&format!("[ -~]{{1,{}}}", field("webpage")["maxLength"])).unwrap(),
            timestamp in 0..=field("timestamp")["maximum"].as_i64().unwrap(),
            event_id in prop::option::of(matching(&field("event_id"))),
            further in any::<String>(),
        ) {
            let event = json!({
                "user_id": user_id, "postcode": postcode, "webpage": webpage, "timestamp": timestamp,
                "event_id": event_id, "further": further,
            });
            prop_assert!(accepts(&event), "{event}");
        }

        #[test]
        fn the_schema_of_the_idempotency_key_is_what_is_parsed(
            allowed in matching(&serde_json::to_value(idempotency_key()).unwrap()),
        ) {
            prop_assert!(IdempotencyKey::parse(allowed.as_bytes()).is_ok(), "{allowed}");
        }
    }

    #[test]
    fn one_past_a_limit_is_refused_and_the_limit_is_not() {
        let longest = |name: &str| "x".repeat(field(name)["maxLength"].as_u64().unwrap() as usize);
        let maximum = |name: &str| field(name)["maximum"].as_u64().unwrap();
        let edges = [
            ("user_id", json!(maximum("user_id")), json!(-1)),
            ("timestamp", json!(maximum("timestamp")), json!(maximum("timestamp") + 1)),
            ("webpage", json!(longest("webpage")), json!(longest("webpage") + "x")),
            ("postcode", json!("x".repeat(Postcode::MAX_LEN)), json!("x".repeat(Postcode::MAX_LEN + 1))),
            (
                "event_id",
                json!("x".repeat(Pageview::MAX_EVENT_ID_LEN)),
                json!("x".repeat(Pageview::MAX_EVENT_ID_LEN + 1)),
            ),
        ];
        for (name, allowed, past) in edges {
            let mut event = example();
            event[name] = allowed;
            assert!(accepts(&event), "{name}");
            event[name] = past;
            assert!(!accepts(&event), "{name}");
        }
        for required in serde_json::to_value(event()).unwrap()["required"].as_array().unwrap() {
            let mut event = example();
            event.as_object_mut().unwrap().remove(required.as_str().unwrap());
            assert!(!accepts(&event), "{required}");
        }
    }
}
