//! Measures our services, each beside the least that one can do and what others would do.
//!
//! ```text
//! events -> fill -> Kafka -> aggregator: ours, bare, streams (one at a time) -> usage -> table
//!             └─> tally --------------------------------------------> check of the counts
//!
//! events -> fill -> Kafka -> sink: ours in each format, ceiling, plain -> S3 -> check of what is stored
//!                                                          └─> usage -> table
//!
//! events -> client -> ingest: ours, actix, naive -> Kafka -> check of how many are stored
//!              └─> usage, latency -> table
//! ```

mod arguments;

mod events;
mod tally;

mod fill;
mod topics;

mod arena;
mod child;
mod java;
mod usage;

mod aggregator;
mod ingest;
mod sink;

mod machine;
mod run;
mod table;

pub use arguments::Arguments;
pub use run::run;
