//! What an operator sees is what is so: health, `/metrics` and its reference page, CloudWatch, alerts, and the dashboard.

mod alarms;
mod alerts;
mod cloudwatch;
mod dashboard;
mod expression;
mod health;
mod prometheus;
mod reference;
mod series;
mod terraform;
