//! The API on the open internet, and over a Kafka that is not at its best. In one binary, so that they run beside each other.

mod corpus;
mod frozen;
mod guards;
mod openapi;
mod slow;
