//! Drains topics to S3, every record in exactly one object.
//!
//! ```text
//!            writer: one thread a topic, polls                       encoders: one thread a core
//! Kafka --> consumer --> record --> planner: push, due, cut --- Job: range, batch ---> range: route, encode, checksum
//!   ^                                | ^    ^      ^    |  <--------- Encoded -----------+
//!   +------- hint <---- Commit ------+ |    |      |    |                             tokio
//!                                      |    |      |    +-- Plan ---> protocol: write --> store
//!                                      |    |      |                   1. ledger entry, If-None-Match: *
//!                                      |    |      |                   2. objects,      If-None-Match: *
//!                                      |    |      +-- written, outdone --+
//!                                      |    +--------- frontier: decide <-- protocol: last <-- ledger
//!                                      +-------------- due, memory: budget
//! ```
//! The pure part, which knows no Kafka, no S3 and no clock, is [`planner`] with what it is made of ([`batch`], [`range`],
//! [`route`], [`encode`], [`envelope`], [`checksum`]) and [`frontier`]; the rules between owners are in [`protocol`], over the
//! four calls of a [`store`]. What lies in the bucket is described in [`object_name`], [`ledger`], [`offsets`], [`forgotten`] and
//! [`envelope`], and is read by whoever audits it through [`bucket`], [`decode`] and [`tiles`].

pub mod kind;
pub mod record;

pub mod action;
pub mod batch;
pub mod checksum;
pub mod decode;
pub mod encode;
pub mod envelope;
pub mod format;
pub mod planner;
pub mod range;
pub mod route;

pub mod forgotten;
pub mod frontier;
pub mod hint;
pub mod ledger;
pub mod object_name;
pub mod offsets;
pub mod protocol;
pub mod store;
pub mod tiles;

pub mod bucket;

mod assigned;
mod budget;
mod consumer;
mod encoders;
mod identity;
mod metrics;
mod patient;
mod run;
mod tasks;
mod writer;

pub use kind::Kind;
pub use metrics::METRICS;
pub use run::{Error, run};
