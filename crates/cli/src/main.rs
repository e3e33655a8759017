//! `pageviews`, the operator's hand.

use std::process::ExitCode;

use clap::Parser as _;
use cli::Arguments;
use service::exit;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::unparsed(&error),
    };
    match cli::run(arguments).await {
        Ok(verdict) => verdict.exit_code().into(),
        Err(error) => {
            eprintln!("pageviews: {error:#}");
            cli::exit_code(&error).into()
        }
    }
}
