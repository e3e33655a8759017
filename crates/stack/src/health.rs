//! Whether a service is ready, and if not, why.

use std::sync::LazyLock;
use std::time::Duration;

use serde::Deserialize;

/// Health is answered at once or not at all.
const LIMIT: Duration = Duration::from_secs(2);

/// One client for all questions. Proxies are for the world outside; everything here is on this machine.
pub(crate) fn client() -> &'static reqwest::Client {
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        let builder = reqwest::Client::builder().no_proxy().timeout(LIMIT).pool_max_idle_per_host(0);
        // Fails only where TLS cannot be set up, and there is none.
        builder.build().unwrap_or_default()
    });
    &CLIENT
}

/// The innermost cause: `Connection refused`, not "error sending request for url".
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Asks a process by the `path` that tells its readiness; `Err` says why it is not ready.
pub(crate) async fn ready(port: u16, path: &str) -> Result<(), String> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let answer = client().get(url).send().await.map_err(|error| format!("port {port}: {}", cause(&error)))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let body = answer.text().await.unwrap_or_default();
    Err(why_not(&body).unwrap_or_else(|| format!("readiness answers {status}")))
}

#[derive(Deserialize)]
struct Health {
    #[serde(default)]
    components: serde_json::Map<String, serde_json::Value>,
}

/// Names the components that are not up, in the shape that Spring made known.
fn why_not(body: &str) -> Option<String> {
    let health: Health = serde_json::from_str(body).ok()?;
    let down: Vec<String> = health
        .components
        .iter()
        .filter_map(|(name, component)| {
            let status = component.get("status")?.as_str()?;
            let error = component.get("details").and_then(|details| details.get("error")?.as_str());
            (status != "UP").then(|| format!("{name}: {}", error.unwrap_or(status)))
        })
        .collect();
    (!down.is_empty()).then(|| down.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_down() {
        let body = r#"{"status":"DOWN","components":{"kafka":{"status":"DOWN"},"s3":{"status":"UP"}}}"#;
        assert_eq!(why_not(body).as_deref(), Some("kafka: DOWN"));
        let body = r#"{"components":{"kafka":{"status":"DOWN","details":{"error":"joining the group"}}}}"#;
        assert_eq!(why_not(body).as_deref(), Some("kafka: joining the group"));
        assert_eq!(why_not("<html>"), None);
    }
}
