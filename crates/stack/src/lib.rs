//! Starts the real thing as plain processes: Kafka, an AWS emulator, terraform, the topics, our services.
//!
//! ```text
//!  cache (jars, venv) ─> kafka ─> topics ┐
//!                     └> ministack ──────┼─> ingest-api, aggregator, s3-sink ─> ready
//!                          └> terraform ─┘
//! ```
//!
//! `make up` is this library behind a supervisor in the background; an end-to-end test is this library inside
//! the test. A test stack has ports and a folder of its own, so it runs beside `make up`:
//!
//! ```no_run
//! # async fn test() -> Result<(), stack::Error> {
//! use stack::{Options, Service, Stack};
//!
//! let mut stack = Stack::start(Options::test("kill-the-aggregator")?).await?;
//! let load = stack.cli_child(&["generate", "--rate", "5000", "--duration", "20s"]).await?;
//! stack.scale(Service::Aggregator, 2).await?;
//! stack.kill_9(Service::Aggregator, 1).await?; // dead when this returns; restarted by itself
//! stack.wait_ready().await?;
//! let load = load.wait_with_output().await.expect("the load generator ends");
//! let audit = stack.cli(&["audit", "--wait", "60s", "--json"]).await?;
//! assert!(load.status.success() && audit.status.success());
//! stack.stop().await // removes the folder; a test that fails before this line leaves it, logs included
//! # }
//! ```

mod backoff;
mod clock;
mod error;
mod home;
mod journal;
mod options;
mod ports;
mod procfs;
mod service;

mod launch;
mod sys;

mod cache;
mod environment;
mod health;
mod java;
mod kafka;
mod kafka_probe;
mod ministack;
mod terraform;
mod tool;

mod keeper;
mod process;
mod watch;

mod board;
mod broker;
mod cli;
mod dashboard;
mod emulator;
mod fuzzer;
mod kafka_tool;
mod metrics;
mod replicas;
mod stack;
mod status;
mod stop;

pub mod control;
pub mod supervisor;

mod down;
mod up;

pub use broker::Broker;
pub use clock::pause;
pub use down::{Down, down};
pub use emulator::Emulator;
pub use error::{Error, Result};
pub use home::Home;
pub use journal::Event;
pub use metrics::metric_sum;
pub use options::Options;
pub use ports::Ports;
pub use process::Process;
pub use procfs::{MARK, marked};
pub use service::{Replica, Service};
pub use stack::Stack;
pub use status::{Row, Status};
pub use sys::Signal;
pub use up::{SUPERVISE, Up, up};

use journal::Journal;
