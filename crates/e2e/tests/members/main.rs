//! Members of groups come and go, in order or not: nothing is lost with them, and nothing is done twice.

mod graceful;
mod scale;
mod zombie;
