//! `pageviews`, the operator's hand. It reads the services' configuration and talks to what they talk to.
//!
//! ```text
//! arguments -> topics   -> Kafka
//!           -> bucket   -> S3
//!           -> generate -> ingest-api, receipts
//!           -> counts   -> S3
//!           -> audit    -> S3, Kafka, receipts
//!           -> dashboard, watch -> live -> services, S3, Kafka
//!           -> redrive  -> S3, Kafka
//!           -> backfill -> S3, Kafka
//!           -> forget   -> S3, Kafka
//! ```
//! Each command is a pure core, which plans, sums or judges, and a thin shell (`mod.rs`) that asks Kafka, S3 and the
//! API and prints what the core returned.

mod arguments;
mod audit;
mod backfill;
mod bucket;
mod counts;
mod dashboard;
mod forget;
mod generate;
mod kafka;
mod live;
mod minutes;
mod objects;
mod output;
pub mod progress;
mod receipts;
mod redrive;
mod signals;
mod span;
mod topics;
mod transaction;
mod verdict;
mod watch;

use service::Config;

pub use arguments::Arguments;
pub use verdict::{Verdict, exit_code};

use arguments::Command;

/// Runs the command that was asked for.
///
/// # Errors
/// What kept the command from an answer; [`exit_code`] tells which code that is.
pub async fn run(arguments: Arguments) -> anyhow::Result<Verdict> {
    // The port is that of a service, and none of ours.
    let config = Config::load(arguments.config.as_deref(), 0)?;
    match arguments.command {
        Command::Topics(options) => topics::run(&config, &options).await,
        Command::Bucket(options) => bucket::run(&config, &options).await,
        Command::Generate(options) => generate::run(&options).await,
        Command::Counts(options) => counts::run(&config, &options).await,
        Command::Audit(options) => audit::run(&config, &options).await,
        Command::Dashboard(options) => dashboard::run(&config, &options).await,
        Command::Watch(options) => watch::run(&config, &options).await,
        Command::Backfill(options) => backfill::run(&config, &options).await,
        Command::Redrive(options) => redrive::run(&config, &options).await,
        Command::Forget(options) => forget::run(&config, &options).await,
    }
}
