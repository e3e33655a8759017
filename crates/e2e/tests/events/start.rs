//! How a service starts: it waits for Kafka and says so, and it refuses a configuration that it does not understand.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{README_EVENT, counts, eventually, options, post};
use stack::{Service, Stack};

#[tokio::test]
async fn services_wait_for_kafka_say_so_and_go_on_when_it_comes() -> Result<()> {
    let mut options = options("kafka-away")?;
    options.replicas.clear();
    let mut stack = Stack::start(options).await?;
    stack.kafka().stop().await;
    for service in Service::ALL {
        stack.set_replicas(service, 1).await?;
    }
    for service in Service::ALL {
        let base = stack.management_url(service, 1);
        eventually("health says what is missing", Duration::from_secs(20), async || {
            let response = reqwest::get(format!("{base}/actuator/health")).await?;
            let (status, body) = (response.status().as_u16(), response.text().await?);
            ensure!(
                status == 503 && body.contains(r#""kafka":{"status":"DOWN","details""#),
                "{service}: {body}"
            );
            let live = reqwest::get(format!("{base}/actuator/health/liveness")).await?;
            ensure!(live.status() == 200, "{service} is not live");
            Ok(Some(()))
        })
        .await?;
    }
    let away = post(&stack, "/api/pageviews", README_EVENT).await?;
    ensure!(away.status == 503 && away.json.to_string().contains("perhaps stored"), "{away:?}");

    stack.kafka().start().await;
    stack.kafka().ready().await?;
    stack.wait_ready().await?;
    let back = post(&stack, "/api/pageviews", README_EVENT.replace("SW19", "N1")).await?;
    ensure!(back.status == 202, "{back:?}");
    eventually("the event is counted", Duration::from_secs(60), async || {
        let counts = counts(&stack).await?.to_string();
        ensure!(counts.contains("N1"), "{counts}");
        Ok(Some(()))
    })
    .await?;
    for service in Service::ALL {
        ensure!(stack.replica(service, 1)?.crashes() == 0, "{service} crashed while Kafka was away");
    }
    stack.stop().await?;
    Ok(())
}

#[test]
fn a_key_that_nobody_knows_is_exit_64_and_named() -> Result<()> {
    let bin_dir = options("config")?.bin_dir;
    for service in Service::ALL {
        let output = Command::new(bin_dir.join(service.name()))
            .arg("--check-config")
            // As whoever has followed the README has it set.
            .env_remove("PAGEVIEW_PROFILE")
            .env("PAGEVIEW_PIPELINE__WINDOW__GRCE", "5s")
            .output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(64), "{service}: {output:?}");
        ensure!(words.contains("PAGEVIEW_PIPELINE__WINDOW__GRCE"), "{service}: {words}");
        ensure!(words.contains("did you mean pipeline.window.grace"), "{service}: {words}");
    }
    Ok(())
}
