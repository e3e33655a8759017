//! What a replica says about itself.

use anyhow::{Context, Result, ensure};
use stack::{Service, Stack};

/// The sum over all labels of the metric `name` of one replica; zero if it has none of that name.
///
/// # Errors
/// When the replica does not answer.
pub async fn metric(stack: &Stack, service: Service, number: u16, name: &str) -> Result<u64> {
    metric_at(&stack.management_url(service, number), name).await
}

/// [`metric`] of what answers at `url`.
///
/// # Errors
/// When nobody answers.
pub async fn metric_at(url: &str, name: &str) -> Result<u64> {
    let response = reqwest::get(format!("{url}/metrics")).await?;
    let text = response.error_for_status()?.text().await?;
    let sum = stack::metric_sum(&text, name).with_context(|| format!("{name} is no number in {text}"))?;
    ensure!(sum >= 0.0, "{name} is {sum}");
    Ok(sum as u64)
}
