//! What settings must fulfil beside being readable, alone and together.

use std::time::Duration;

use super::keys::Keys;
use super::schema::{CloudWatch, Config, Sink};
use super::setting::{Bytes, Format, Origin};

/// The least that one full batch needs in flight.
const LARGEST_BATCH: Bytes = Bytes(16 << 20);

/// One PUT, and one body in memory.
const LARGEST_OBJECT: Bytes = Bytes(64 << 20);

/// What S3 knows as `x-amz-server-side-encryption`.
const ENCRYPTIONS: [&str; 3] = ["AES256", "aws:kms", "aws:kms:dsse"];

/// With less the memory valve would do nothing else.
const SMALLEST_WINDOWS: Bytes = Bytes(1 << 20);

/// A window's minute, and what it takes for the next events to close it.
const ALWAYS_OPEN: Duration = Duration::from_secs(300);

/// Notes every rule that is broken.
pub(super) fn check(keys: &mut Keys, config: &Config) {
    let pipeline = &config.pipeline;
    keys.require(pipeline.threads >= 1, "pipeline.stream.threads", "must be at least 1");
    let topics = [
        &pipeline.pageviews_topic,
        &pipeline.aggregates_topic,
        &pipeline.late_topic,
        &pipeline.dead_letters_topic,
    ];
    let distinct = topics.iter().enumerate().all(|(i, topic)| !topics[..i].contains(topic));
    keys.require(distinct, "pipeline.*_topic", "the four topics must have different names");
    keys.require(
        pipeline.window.memory_limit >= SMALLEST_WINDOWS,
        "pipeline.window.memory_limit",
        "must be at least 1MiB",
    );
    keys.require(
        pipeline.window.max_open >= pipeline.window.grace + ALWAYS_OPEN,
        "pipeline.window.max_open",
        "must be at least pipeline.window.grace and five minutes: every window is open for about so long",
    );
    keys.require(
        !config.shutdown.grace.is_zero(),
        "shutdown.grace",
        "must not be zero: nothing could be finished",
    );
    keys.require(
        config.shutdown.drain_delay < config.shutdown.grace,
        "shutdown.drain_delay",
        "must be shorter than shutdown.grace, which it is part of",
    );
    keys.require(
        config.ingest.max_in_flight_bytes >= LARGEST_BATCH,
        "ingest.max_in_flight_bytes",
        "must be at least 16MiB: one batch of 8 MiB and what Kafka's client keeps beside it must fit",
    );
    keys.require(config.ingest.max_connections >= 1, "ingest.max_connections", "must be at least 1");
    keys.require(
        config.ingest.keep_alive >= Duration::from_secs(1),
        "ingest.keep_alive",
        "must be at least 1s",
    );
    keys.require(
        config.ingest.cors_origins.len() == 1 || !config.ingest.cors_origins.contains(&Origin::Any),
        "ingest.cors_origins",
        "must be * alone, or a list without it",
    );
    keys.require(
        config.ingest.tls_cert.is_some() == config.ingest.tls_key.is_some(),
        "ingest.tls_cert",
        "and ingest.tls_key belong together: set both, or none",
    );
    check_sink(keys, &config.sink);
    keys.require(
        is_bucket_name(&config.aws.bucket),
        "aws.s3.bucket_name",
        "must be 3 to 63 lower-case letters, digits, dots and hyphens",
    );
    let CloudWatch { namespace, step, endpoint_override, .. } = &config.cloudwatch;
    keys.require(
        is_namespace(namespace),
        "metrics.cloudwatch.namespace",
        "must be 1 to 255 letters, digits and .-_/#, and not begin with AWS/",
    );
    keys.require(
        *step >= Duration::from_secs(1),
        "metrics.cloudwatch.step",
        "must be at least 1s: CloudWatch knows nothing shorter",
    );
    let is_url = |text: &String| text.starts_with("http://") || text.starts_with("https://");
    keys.require(
        config.aws.endpoint_override.as_ref().is_none_or(is_url),
        "aws.s3.endpoint_override",
        "must be a URL, such as http://localhost:4566",
    );
    keys.require(
        endpoint_override.as_ref().is_none_or(is_url),
        "metrics.cloudwatch.endpoint_override",
        "must be a URL, such as http://localhost:4566",
    );
}

fn check_sink(keys: &mut Keys, sink: &Sink) {
    let writers = [
        ("raw", &sink.raw),
        ("aggregates", &sink.aggregates),
        ("late", &sink.late),
        ("dead_letters", &sink.dead_letters),
    ];
    for (name, writer) in writers {
        keys.require(
            (Bytes(1)..=LARGEST_OBJECT).contains(&writer.flush_bytes),
            &format!("sink.{name}.flush_bytes"),
            "must be more than nothing and at most 64MiB: an object is one PUT",
        );
        keys.require(
            !writer.flush_interval.is_zero(),
            &format!("sink.{name}.flush_interval"),
            "must not be zero: every record would be an object",
        );
    }
    keys.require(
        sink.dead_letters.format == Format::NdjsonGz,
        "sink.dead_letters.format",
        "must be ndjson.gz: an envelope is JSON",
    );
    keys.require(
        sink.sse.as_deref().is_none_or(|sse| ENCRYPTIONS.contains(&sse)),
        "sink.sse",
        "must be AES256, aws:kms or aws:kms:dsse",
    );
}

/// `Namespace` of PutMetricData (CloudWatch API reference).
fn is_namespace(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte);
    (1..=255).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with("AWS/")
}

/// The rules for general purpose buckets (Amazon S3 User Guide), as far as they are about characters.
fn is_bucket_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    (3..=63).contains(&name.len()) && name.bytes().all(allowed)
}
