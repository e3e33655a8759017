//! Drains topics to S3, every record in exactly one object.

pub mod checksum;
pub mod hint;
pub mod kind;
pub mod ledger;
pub mod object_name;
pub mod tiles;

pub use kind::Kind;
