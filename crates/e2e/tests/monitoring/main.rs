//! What an operator sees is what is so: `/metrics`, its reference page, and CloudWatch.

mod cloudwatch;
mod reference;
