//! What `/openapi.json` promises is kept: Schemathesis sends what it allows, which must be accepted, and what it does not.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::{Wire, options, seed};
use stack::{Service, Stack};

/// The clock is what a schema cannot know of: any timestamp that it allows is accepted here.
const NEVER_AHEAD: &str = "3000000000000s";
/// Read by Schemathesis in the folder that it runs in.
const FILES: [(&str, &str); 2] = [
    ("schemathesis.toml", include_str!("schemathesis/schemathesis.toml")),
    ("hooks.py", include_str!("schemathesis/hooks.py")),
];
/// Of a report whose requests may be of a megabyte.
const LINE: usize = 400;

#[tokio::test]
async fn the_api_is_as_its_description_says() -> Result<()> {
    let options = options("openapi")?
        .env("PAGEVIEW_PIPELINE__MAX_FUTURE_SKEW", NEVER_AHEAD)
        .replicas(Service::Aggregator, 0)
        .replicas(Service::S3Sink, 0);
    let stack = Stack::start(options).await?;
    for (name, text) in FILES {
        fs::write(stack.home().join(name), text)?;
    }
    let (url, seed) = (format!("{}/openapi.json", stack.api_url()), seed()?.to_string());
    let arguments = ["run", &url, "--seed", &seed, "--generation-database", "none"];
    let output =
        stack.schemathesis(&[&arguments[..], &["--no-color", "--continue-on-failure"]].concat()).await?;
    let report = String::from_utf8_lossy(&output.stdout);
    for line in report.lines() {
        println!("{}", line.chars().take(LINE).collect::<String>());
    }
    ensure!(output.status.success(), "{} {}", output.status, String::from_utf8_lossy(&output.stderr));
    // It has found the API, and sent what it was asked to.
    ensure!(report.contains("7 selected / 7 total") && report.contains("No issues found"), "not its report");

    let mut wire = Wire::connect(&stack).await?;
    for path in ["/docs", "/docs/page.css", "/docs/page.js"] {
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let answer = wire.answer().await?.context("no answer")?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
        let policy = answer.header("content-security-policy").context("no policy")?;
        ensure!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
    }
    stack.stop().await?;
    Ok(())
}
