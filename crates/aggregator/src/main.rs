//! The aggregator's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    service::main(aggregator::PROGRAM, aggregator::run)
}
