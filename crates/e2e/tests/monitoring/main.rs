//! What an operator sees is what is so: health, `/metrics` and its reference page, CloudWatch, and alerts.

mod alarms;
mod alerts;
mod cloudwatch;
mod expression;
mod health;
mod prometheus;
mod reference;
mod series;
