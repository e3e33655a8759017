//! The containers of docker-compose.yml on a real engine: scaled, killed, restarted, taken down and up again, and audited.
//!
//! `make test-containers` makes the images first.

mod compose;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use compose::{Compose, SERVICES};
use e2e::{README_EVENT, Report, eventually, for_a_while};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

/// In megabytes, as Docker tells it.
const IMAGE_LIMIT: u64 = 120;
/// In mebibytes, of each service at rest.
const MEMORY_LIMITS: [(&str, f64); 3] = [("ingest-api", 30.0), ("aggregator", 30.0), ("s3-sink", 60.0)];

/// While all replicas are frozen; every other one has a key.
const REQUESTS: usize = 24;

#[tokio::test]
#[ignore = "needs a container engine and images: make test-containers"]
async fn every_service_scales_by_itself_and_nothing_is_lost() -> Result<()> {
    let pipeline = Compose::new()?;
    let before_all = pipeline.inventory().await?;
    println!("{}", pipeline.make(&["up"]).await?);
    images_are_small(&pipeline).await?;
    only_some_ports_are_published(&pipeline).await?;
    services_are_small_at_rest(&pipeline).await?;
    posted_and_counted(&pipeline).await?;

    let load = pipeline.load("scaling")?;
    for service in SERVICES {
        pipeline.make(&["scale", service.name, "3"]).await?;
        pipeline.all_work(service, 3).await?;
        let victim = pipeline.replicas(service).await?.pop().context("there is no replica")?;
        if service.name == "ingest-api" {
            only_requests_with_a_key_are_sent_again(&pipeline, &victim).await?;
        } else {
            pipeline.signal(&victim, "KILL").await?;
        }
        pipeline.all_work(service, 3).await?;
        println!("{}: scaled to 3, all work; one killed, all work again", service.name);
    }
    prometheus_sees_every_replica(&pipeline).await?;
    the_dashboard_sees_every_replica(&pipeline).await?;
    pipeline.make(&["status"]).await?;
    for service in SERVICES {
        pipeline.make(&["restart", service.name]).await?;
        pipeline.all_work(service, 3).await?;
        pipeline.make(&["scale", service.name, "1"]).await?;
        pipeline.all_work(service, 1).await?;
        println!("{}: restarted one by one, and scaled to 1", service.name);
    }
    let scaling = load.terminate().await?;
    all_accepted(&scaling)?;
    audit(&pipeline, &[&scaling]).await?;

    // The same data, in new containers.
    let before = counted(&pipeline).await?;
    pipeline.make(&["down"]).await?;
    println!("{}", pipeline.make(&["up"]).await?);
    ensure!(counted(&pipeline).await? == before, "other counts than before");
    let load = pipeline.load("afterwards")?;
    pipeline.all_work(SERVICES[1], 1).await?;
    let afterwards = load.terminate().await?;
    all_accepted(&afterwards)?;
    audit(&pipeline, &[&scaling, &afterwards]).await?;

    pipeline.make(&["down"]).await?;
    pipeline.make(&["clean"]).await?;
    let after = pipeline.inventory().await?;
    let left: Vec<_> = after.difference(&before_all).collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

async fn images_are_small(pipeline: &Compose) -> Result<()> {
    for image in ["ingest-api", "aggregator", "s3-sink", "pageviews"] {
        let name = format!("pageview-pipeline/{image}:test");
        let size = pipeline.docker(&["image", "inspect", "--format", "{{.Size}}", &name]).await?;
        let megabytes = size.trim().parse::<u64>()? / 1_000_000;
        println!("{image}: an image of {megabytes} MB");
        ensure!(megabytes < IMAGE_LIMIT, "{image}: {megabytes} MB");
    }
    Ok(())
}

async fn only_some_ports_are_published(pipeline: &Compose) -> Result<()> {
    let published = pipeline.compose(&["ps", "--format", "{{.Service}} {{.Ports}}"]).await?;
    let mut services: Vec<_> = published
        .lines()
        .filter(|line| line.contains("->"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    services.sort_unstable();
    ensure!(services == ["dashboard", "gateway", "kafka", "localstack"], "published: {published}");
    ensure!(!published.contains("0.0.0.0"), "published to everybody: {published}");
    Ok(())
}

async fn services_are_small_at_rest(pipeline: &Compose) -> Result<()> {
    for (service, (name, limit)) in SERVICES.into_iter().zip(MEMORY_LIMITS) {
        let id = pipeline.replicas(service).await?.pop().context("there is no replica")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", pipeline.pid(&id).await?))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let mebibytes = resident.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0;
        println!("{name}: {mebibytes:.0} MiB at rest");
        ensure!(mebibytes < limit, "{name} takes {mebibytes} MiB at rest");
    }
    Ok(())
}

/// The README's event, with today's time.
async fn posted_and_counted(pipeline: &Compose) -> Result<()> {
    let mut event: Value = serde_json::from_str(README_EVENT)?;
    event["postcode"] = json!("ZZ99");
    let post = reqwest::Client::new().post(format!("{}/api/pageviews", pipeline.url())).json(&event);
    let answer = post.send().await?;
    ensure!(answer.status() == 202, "{answer:?}");
    // As the original's README has it; the topics are there.
    let topics = pipeline.compose(&["run", "--rm", "-T", "kafka-init"]).await?;
    ensure!(topics.matches(": exists").count() == 4, "{topics}");
    eventually("it is counted", Duration::from_secs(90), async || {
        let counts = pipeline.cli(&["counts", "--postcode", "ZZ99", "--json"]).await?;
        Ok(counts.to_string().contains("ZZ99").then_some(()))
    })
    .await
}

/// Kills a replica that has taken requests and answered none: those with a key are answered by another one, and of those
/// without some get no answer but the gateway's.
async fn only_requests_with_a_key_are_sent_again(pipeline: &Compose, victim: &str) -> Result<()> {
    // All of them: requests would be kept away from one that is slower than the others.
    let replicas = pipeline.replicas(SERVICES[0]).await?;
    for replica in &replicas {
        pipeline.signal(replica, "STOP").await?;
    }
    let event = README_EVENT.replace("SW19", "ZZ98");
    let posts = (0..REQUESTS).map(|number| {
        // A client each: a connection of its own.
        let post = reqwest::Client::new().post(format!("{}/api/pageviews", pipeline.url()));
        let post = post.header("content-type", "application/json");
        let has_key = number % 2 == 0;
        let post = match has_key {
            true => post.header("Idempotency-Key", format!("frozen-{number}")).body(in_two_parts(&event)),
            false => post.body(event.clone()),
        };
        (has_key, tokio::spawn(post.send()))
    });
    let posts: Vec<_> = posts.collect();
    for_a_while(Duration::from_millis(500)).await;
    pipeline.signal(victim, "KILL").await?;
    for replica in replicas.iter().filter(|replica| *replica != victim) {
        pipeline.signal(replica, "CONT").await?;
    }
    let mut unanswered = 0;
    for (has_key, post) in posts {
        let answer = post.await??;
        if answer.status() == 502 && !has_key {
            let words = answer.text().await?;
            ensure!(words.contains("perhaps stored"), "{words}");
            unanswered += 1;
        } else {
            ensure!(answer.status() == 202, "with a key: {has_key}, {answer:?}");
        }
    }
    println!("{unanswered} of {} requests without a key were with the replica that was killed", REQUESTS / 2);
    ensure!(unanswered > 0, "every request without a key was answered: was it sent twice?");
    let sent_again = pipeline.gateway_retries().await?;
    ensure!(sent_again > 0.0, "no request with a key was with the replica that was killed");
    Ok(())
}

/// A body that ends a while after the head was sent.
fn in_two_parts(body: &str) -> reqwest::Body {
    let (first, second) = body.split_at(body.len() / 2);
    let second = second.to_owned();
    let later = async move {
        for_a_while(Duration::from_millis(100)).await;
        Ok::<_, std::io::Error>(second)
    };
    let first = stream::iter([Ok(first.to_owned())]);
    reqwest::Body::wrap_stream(first.chain(stream::once(later)))
}

/// Not one request failed: what its replica has not answered, the gateway has sent to another.
fn all_accepted(report: &Report) -> Result<()> {
    println!("{}", report.text);
    let outcomes: Vec<_> = report.outcomes.keys().collect();
    ensure!(outcomes == ["accepted 202"], "{outcomes:?}");
    Ok(())
}

async fn prometheus_sees_every_replica(pipeline: &Compose) -> Result<()> {
    pipeline.compose(&["up", "--detach", "--no-build", "--no-deps", "prometheus"]).await?;
    let url = format!("http://127.0.0.1:{}/api/v1/targets?state=active", pipeline.prometheus_port());
    eventually("Prometheus scrapes three replicas of each service", Duration::from_secs(60), async || {
        let targets: Value = reqwest::get(&url).await?.json().await?;
        let targets = targets["data"]["activeTargets"].as_array().context("no targets")?;
        for service in SERVICES {
            let up = |target: &&Value| target["labels"]["job"] == service.name && target["health"] == "up";
            let scraped = targets.iter().filter(up).count();
            ensure!(scraped == 3, "{scraped} of {} are scraped", service.name);
        }
        Ok(Some(()))
    })
    .await
}

async fn the_dashboard_sees_every_replica(pipeline: &Compose) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/snapshot.json", pipeline.dashboard_port());
    eventually("the dashboard shows three replicas of each service", Duration::from_secs(60), async || {
        let snapshot: Value = reqwest::get(&url).await?.json().await?;
        let (verdict, services) =
            (&snapshot["verdict"], snapshot["services"].as_array().context("no services")?);
        for service in services {
            let replicas = service["replicas"].as_array().context("no replicas")?;
            let up = replicas.iter().filter(|replica| replica["state"] == "up").count();
            ensure!(up == 3, "{up} of {}: {verdict}", service["name"]);
        }
        ensure!(services.len() == 3 && verdict["level"] == "working", "{verdict}");
        Ok(Some(()))
    })
    .await
}

async fn counted(pipeline: &Compose) -> Result<Value> {
    pipeline.cli(&["counts", "--json"]).await
}

async fn audit(pipeline: &Compose, reports: &[&Report]) -> Result<()> {
    let mut arguments = vec!["audit", "--wait", "150s", "--deep", "--json"];
    for report in reports {
        arguments.extend(["--receipts", report.receipts().to_str().context("a path that is not UTF-8")?]);
    }
    println!("{}", pipeline.cli(&arguments).await?);
    Ok(())
}
