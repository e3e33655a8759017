//! What an operator sees is what is so: health, `/metrics` and its reference page, CloudWatch, and alerts.

mod alerts;
mod cloudwatch;
mod health;
mod prometheus;
mod reference;
