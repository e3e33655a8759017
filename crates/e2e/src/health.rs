//! What a replica says of its own health.

use anyhow::Result;
use serde_json::Value;
use stack::{Service, Stack};

/// What is wrong with one component of a replica, in its own words; `None` when it is well.
///
/// # Errors
/// When the replica does not answer.
pub async fn trouble(
    stack: &Stack,
    service: Service,
    number: u16,
    component: &str,
) -> Result<Option<String>> {
    let url = format!("{}/actuator/health/readiness", stack.management_url(service, number));
    let report: Value = reqwest::get(url).await?.json().await?;
    let component = &report["components"][component];
    let well = component["status"] == "UP";
    Ok((!well).then(|| component["details"]["error"].as_str().unwrap_or_default().to_owned()))
}
