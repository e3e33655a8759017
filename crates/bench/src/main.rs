//! `make bench-aggregator`, `make bench-sink` and `make bench-ingest`.

use std::process::ExitCode;

use bench::Arguments;
use clap::Parser as _;
use service::exit;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::unparsed(&error),
    };
    match bench::run(&arguments).await {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
