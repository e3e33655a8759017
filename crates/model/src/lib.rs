//! The wire vocabulary of the pipeline, shared by every service and by whoever reads the topics.
//!
//! ```text
//! bytes --Pageview::parse--> Pageview --Window::containing--> (Postcode, Window) --+1--> PageviewAggregate
//!            |                                                                             |
//!            +--> Reason (an HTTP 400, or a dead letter)                    topic pageview-aggregates
//! ```
//!
//! An event, as clients send it and as it lies in Kafka and in `raw/`:
//! ```json
#![doc = include_str!("../fixtures/pageview.json")]
//! ```
//! A count, as it lies in Kafka and in `aggregates/` and `late/`. Counts of the same postcode and window add up:
//! ```json
#![doc = include_str!("../fixtures/aggregate.json")]
//! ```
//! This crate knows no clock, no Kafka and no HTTP: the time is always an argument.

pub mod aggregate;
pub mod dead_letter;
mod explain;
pub mod pageview;
mod partition;
pub mod postcode;
pub mod reason;
mod scan;
pub mod time;
pub mod topic;
pub mod window;

pub use aggregate::PageviewAggregate;
pub use explain::{FieldError, explain};
pub use pageview::{Pageview, one_line, with_event_id};
pub use partition::partition;
pub use postcode::Postcode;
pub use reason::Reason;
pub use scan::Scanned;
pub use time::{EpochMillis, EpochSeconds};
pub use window::Window;
