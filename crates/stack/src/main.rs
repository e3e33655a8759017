//! The `stack` command: the pipeline as plain processes, for where there is no container engine.

mod args;
mod commands;
mod logs;
mod screen;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 64 } else { 0 });
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(commands::run(args)));
    result.unwrap_or_else(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            // `stack logs | head` has seen enough.
            return ExitCode::SUCCESS;
        }
        let _ = writeln!(std::io::stderr(), "{error:#}");
        ExitCode::from(error.downcast_ref::<stack::Error>().map_or(1, stack::Error::exit_code))
    })
}
