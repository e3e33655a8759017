//! What becomes of events: as the README says, sent again, written by others, too many of them, and from the first start on.

mod foreign;
mod readme;
mod repeats;
mod start;
mod valve;
