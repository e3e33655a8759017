//! The process `s3-sink`.

use std::process::ExitCode;

use service::{Process, Program};

fn main() -> ExitCode {
    let program = Program {
        name: "s3-sink",
        version: env!("CARGO_PKG_VERSION"),
        about: "Writes every record of the pipeline's topics to S3, exactly once",
        default_port: 8082,
        has_api: false,
        check: service::kafka::group::check_static_membership,
        metrics: &s3_sink::METRICS,
        views: &[],
        switches: &[],
    };
    service::main(program, |process: Process| s3_sink::run(process))
}
