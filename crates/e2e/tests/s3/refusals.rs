//! What a sink does not do, and what it says instead: it writes to no bucket that is not there, past no refusal, and into no
//! tree of another topic. Nothing is lost meanwhile, and what it says to do helps.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    Fault, Load, Often, Proxy, README_EVENT, Requests, Rule, byte_lines, conclude, create_bucket, eventually,
    keys, options, post, seed, trouble,
};
use model::topic;
use stack::{Service, Stack};

const WITHIN: Duration = Duration::from_secs(60);
const BUCKET: &str = "PAGEVIEW_AWS__S3__BUCKET_NAME";
const ENDPOINT: &str = "PAGEVIEW_AWS__S3__ENDPOINT_OVERRIDE";
const EPOCH: &str = "PAGEVIEW_SINK__EPOCH";
const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

#[tokio::test]
async fn a_bucket_that_is_missing_and_one_that_refuses_are_named_and_waited_for() -> Result<()> {
    let options = options("refused")?.replicas(Service::S3Sink, 0).env(BUCKET, "somewhere-else");
    let mut stack = Stack::start(options).await?;
    let proxy = Proxy::before(&stack, seed()?).await?;
    stack.set_replicas(Service::S3Sink, 1).await?;
    // Until it is told to stop.
    let load = ["--rate", "500", "--duration", "300s", "--batch", "50", "--history", "100m"];
    let load = Load::start(&stack, "refused", &load).await?;
    says(&stack, &["s3://somewhere-else", "there is no such bucket", "aws s3 mb s3://somewhere-else"])
        .await?;
    create_bucket(&stack, "somewhere-else").await?;
    stack.wait_ready().await?;

    proxy.play([Rule::new(Requests::put(""), Often::Always, Fault::AccessDenied)]);
    says(&stack, &["s3://somewhere-else", "403 AccessDenied", "check the credentials"]).await?;
    proxy.calm();
    stack.wait_ready().await?;
    ensure!(stack.replica(Service::S3Sink, 1)?.crashes() == 0, "it crashed");
    conclude(&stack, load).await?;
    stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn another_deployment_does_not_mix_into_a_bucket_and_gets_an_epoch_of_its_own() -> Result<()> {
    let first = Stack::start(options("first")?.replicas(Service::Aggregator, 0)).await?;
    send(&first, README_EVENT.to_owned()).await?;
    written(&first, "raw/", README_EVENT).await?;
    let theirs = keys(&first, "").await?;

    let options = options("second")?.env(ENDPOINT, &first.s3_endpoint());
    let options = options.replicas(Service::Aggregator, 0).replicas(Service::S3Sink, 0);
    let mut second = Stack::start(options).await?;
    let event = README_EVENT.replace("SW19", "N1");
    send(&second, event.clone()).await?;
    second.set_replicas(Service::S3Sink, 1).await?;
    refuses(&second, "another deployment writes here").await?;
    ensure!(keys(&first, "").await? == theirs, "it has written");

    second.set_env(Service::S3Sink, EPOCH, "1");
    second.wait_ready().await?;
    written(&first, "epoch=1/raw/", &event).await?;
    let beside: Vec<_> =
        keys(&first, "").await?.into_iter().filter(|key| !key.starts_with("epoch=1/")).collect();
    ensure!(beside == theirs, "{beside:?} beside {theirs:?}");
    second.stop().await?;
    first.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_topic_made_again_under_a_running_sink_is_not_read_into_the_tree_of_the_old_one() -> Result<()> {
    let stack = Stack::start(options("made-again")?.replicas(Service::Aggregator, 0)).await?;
    send(&stack, README_EVENT.to_owned()).await?;
    written(&stack, "raw/", README_EVENT).await?;
    let before = keys(&stack, "").await?;

    let output = stack.kafka_tool(TOPICS, &["--delete", "--topic", topic::PAGEVIEWS], b"").await?;
    ensure!(output.status.success(), "{output:?}");
    eventually("the topic is there again", WITHIN, async || {
        let output = stack.cli(&["topics"]).await?;
        ensure!(output.status.success(), "{output:?}");
        Ok(Some(()))
    })
    .await?;
    eventually("the new topic takes an event", WITHIN, async || {
        Ok(Some(send(&stack, README_EVENT.replace("SW19", "N1")).await?))
    })
    .await?;
    refuses(&stack, "the topic was created again").await?;
    let after = keys(&stack, "").await?;
    ensure!(after == before, "{after:?} beside {before:?}");
    stack.stop().await?;
    Ok(())
}

async fn send(stack: &Stack, event: String) -> Result<()> {
    let answer = post(stack, "/api/pageviews", event).await?;
    ensure!(answer.status == 202, "{answer:?}");
    Ok(())
}

/// Exactly `event` lies below `prefix`.
async fn written(stack: &Stack, prefix: &str, event: &str) -> Result<()> {
    eventually("the event is in S3, and nothing else", WITHIN, async || {
        let lines = byte_lines(stack, prefix).await?;
        ensure!(lines == [event.trim().as_bytes()], "{} lines", lines.len());
        Ok(Some(()))
    })
    .await
}

/// The sink is not ready, and says all of this of S3.
async fn says(stack: &Stack, words: &[&str]) -> Result<()> {
    eventually("the sink says what is wrong with S3, and what to do", WITHIN, async || {
        let said = trouble(stack, Service::S3Sink, 1, "s3").await?.unwrap_or_default();
        ensure!(words.iter().all(|word| said.contains(word)), "it says {said:?}");
        Ok(Some(()))
    })
    .await
}

/// The sink ends, says why, and names the way out.
async fn refuses(stack: &Stack, why: &str) -> Result<()> {
    let sink = stack.replica(Service::S3Sink, 1)?;
    eventually("the sink refuses, and says why", WITHIN, async || {
        let log = fs::read_to_string(stack.logs_dir().join(format!("{}.log", sink.name())))?;
        let said = log.lines().any(|line| line.contains(why) && line.contains("raise sink.epoch"));
        ensure!(sink.crashes() > 0 && said, "{} crashes; {log}", sink.crashes());
        Ok(Some(()))
    })
    .await
}
