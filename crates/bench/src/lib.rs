//! Measures the aggregator beside a loop that only polls and a Kafka Streams program of the same topology.
//!
//! ```text
//! events -> fill -> Kafka -> aggregator, bare, streams (one at a time) -> usage  -> report
//!             └─> tally ------------------------------------------------> check of the counts
//! ```

mod arguments;

mod events;
mod partition;
mod tally;

mod fill;
mod topics;

mod aggregator;
mod arena;
mod bare;
mod child;
mod restart;
mod streams;
mod usage;

mod machine;
mod report;
mod run;

pub use arguments::Arguments;
pub use run::run;
