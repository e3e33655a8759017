//! The pure heart: what one partition's windows count, when they close, and what may be committed.
//!
//! No Kafka, no clock, no thread: offsets, times and parsed events come in as arguments, and a [`Flush`] comes out.

mod event;
mod fate;
mod flush;
mod guard;
mod open;
mod partition;
mod valve;

pub use event::{Event, Identities, Identity};
pub use fate::Fate;
pub use flush::Flush;
pub use guard::{CLOCK_TOLERANCE, Guard};
pub use partition::{Limits, LogBounds, PartitionWindows, Restored};
pub use valve::{Ids, Memory, to_relieve};
