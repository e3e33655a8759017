//! What can be typed after `stack`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use stack::Service;

/// Runs the pageview pipeline as plain processes: Kafka, S3, the topics, the services.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Exit codes: 0 good, 1 failed, 2 no stack is running, 64 wrong usage."
)]
pub(crate) struct Args {
    /// The repository; found from the current folder upwards unless given
    #[arg(long, env = "STACK_REPO", global = true)]
    pub(crate) repo: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything in the background, and wait until it is ready
    Up,
    /// Stop everything in order; data is kept
    Down,
    /// Change the number of replicas of a service while it runs
    Scale {
        /// ingest-api, aggregator or s3-sink
        service: Service,
        /// How many
        replicas: u16,
    },
    /// Restart a service, one replica at a time
    Restart {
        /// ingest-api, aggregator or s3-sink
        service: Service,
    },
    /// Show every process: 0 when all are ready, 1 when not, 2 when no stack is running
    Status,
    /// Show the last lines of the logs
    Logs {
        /// A service, a replica (aggregator-2), kafka, ministack or supervisor; all of them unless given
        service: Option<String>,
        /// Go on as lines come in
        #[arg(short, long)]
        follow: bool,
        /// How many lines of each log to begin with
        #[arg(short = 'n', long, default_value_t = 40)]
        lines: usize,
    },
    /// Delete the data of Kafka and S3, which belong together, and the logs
    Clean,
    /// The supervisor itself, which `up` starts
    #[command(name = stack::SUPERVISE, hide = true)]
    Supervise,
}
