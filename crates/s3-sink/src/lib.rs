//! Drains topics to S3, every record in exactly one object.

pub mod checksum;
pub mod encode;
pub mod envelope;
pub mod frontier;
pub mod hint;
pub mod kind;
pub mod ledger;
pub mod object_name;
pub mod planner;
pub mod protocol;
pub mod range;
pub mod record;
pub mod route;
pub mod store;
pub mod tiles;

pub use kind::Kind;
