//! `pageviews`, the operator's hand.

use std::process::ExitCode;

use clap::Parser as _;
use cli::Arguments;
use service::exit;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::unparsed(&error),
    };
    let ended = Runtime::new().map_err(Into::into).and_then(|runtime| {
        let ended = runtime.block_on(cli::run(arguments));
        // A thread that hangs in a question to Kafka must not keep the process.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(verdict) => verdict.exit_code().into(),
        Err(error) => {
            eprintln!("pageviews: {error:#}");
            cli::exit_code(&error).into()
        }
    }
}
