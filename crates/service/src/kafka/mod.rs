//! What our Kafka clients have in common.
//!
//! `cluster`, `group`, `headers`, `metadata`, `reach` and `records` use librdkafka's C API, for what rdkafka 0.39 does not
//! wrap; the other modules are plain.

mod client;
pub mod cluster;
mod disposition;
pub mod group;
mod headers;
mod log_ends;
mod metadata;
mod reach;
pub mod records;
mod topics;
mod watermarks;

pub use client::{
    LogOnly, check_properties, consumer_config, create, default_to, producer_config, transactional_config,
};
pub use disposition::Disposition;
pub use headers::{Header, headers};
pub use log_ends::LogEnds;
pub use metadata::metadata;
pub use reach::reaches;
pub use topics::{missing_topics, partition_count, wait_for_topics};
pub use watermarks::watermarks;
