//! HTTP in: validates pageviews and writes them to Kafka.

use std::process::ExitCode;

use service::Program;

fn main() -> ExitCode {
    let program = Program {
        name: "ingest-api",
        version: env!("CARGO_PKG_VERSION"),
        about: "Takes pageviews over HTTP and answers 202 once Kafka has them on all in-sync replicas",
        default_port: 8080,
        has_api: true,
        check: ingest_api::check,
        metrics: &ingest_api::metrics::METRICS,
        views: &ingest_api::metrics::VIEWS,
        switches: &[],
    };
    service::main(program, ingest_api::run)
}
