//! The sink and an S3 that is not at its best, seen through a proxy. In one binary, so that they run beside each other.

mod faults;
mod refusals;
mod scale;
mod steps;
