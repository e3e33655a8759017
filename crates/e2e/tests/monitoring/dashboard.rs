//! Whoever opens the dashboard sees whether the pipeline works, how fast, and whether anything is lost; and why, when it does
//! not.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Browser, Load, eventually, options};
use reqwest::header::HOST;
use reqwest::{Client, Method};
use stack::{Service, Stack};

/// Events a second.
const RATE: f64 = 2000.0;
/// How long something may take to be seen.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_dashboard_shows_what_works_and_why_something_does_not() -> Result<()> {
    let options = options("dashboard")?.dashboard(Duration::from_secs(3));
    let mut stack = Stack::start(options).await?;
    let url = stack.dashboard_url().context("no dashboard")?;
    only_this_machine_reads_it(&url).await?;
    // Of the past, so that windows close within seconds.
    let load = ["--rate", "2000", "--duration", "180s", "--history", "60m"];
    let load = Load::start(&stack, "dashboard", &load).await?;
    let mut page = Browser::open(&url, &stack.logs_dir()).await?;
    page.show(1280, 1560, "light").await?;

    let watched = watch(&stack);
    let looked = it_works(&mut page);
    tokio::try_join!(watched, looked)?;
    it_fits_a_phone(&mut page).await?;

    stack.set_restarts(Service::S3Sink, false);
    stack.kill_9(Service::S3Sink, 1).await?;
    verdict(&mut page, "Degraded: s3-sink-1 does not answer for").await?;
    let gone = page.text("#replicas tr:last-child").await?;
    ensure!(gone.contains("s3-sink-1") && gone.contains("no answer"), "{gone}");
    eventually("what waits is told", SOON, async || {
        Ok(page.text("#words").await?.ends_with("wait in Kafka, none is lost.").then_some(()))
    })
    .await?;
    stack.replica(Service::S3Sink, 1)?.start().await;
    verdict(&mut page, "Working:").await?;

    stack.s3().stop().await;
    verdict(&mut page, "Degraded: S3 does not answer for").await?;
    picture(&mut page, "degraded").await?;
    stack.s3().start().await;
    verdict(&mut page, "Working:").await?;

    load.stop(&stack).await?;
    eventually("the audit finds that nothing is lost", SOON, async || {
        let (result, verdict) = (result(&mut page).await?, page.text("#verdict p").await?);
        ensure!(result == "ok" && verdict.contains("nothing lost (audited"), "{result}, {verdict}");
        Ok(Some(()))
    })
    .await?;
    stack.stop().await?;
    eventually("the page says that it is cut off", SOON, async || {
        Ok((page.text("#link").await? == "connection lost, trying again").then_some(()))
    })
    .await
}

/// All that somebody sees who opens the page while everything is well.
async fn it_works(page: &mut Browser) -> Result<()> {
    verdict(page, "Working:").await?;
    eventually("what comes in, is counted and is written is shown", SOON, async || {
        let rate: f64 = page.text("#in").await?.replace(',', "").parse()?;
        ensure!((rate / RATE - 1.0).abs() < 0.25, "{rate} events/s in");
        let postcodes = page.evaluate("document.querySelectorAll('#top li').length").await?;
        ensure!(postcodes == 10, "{postcodes} postcodes");
        let objects = page.text("#objects").await?;
        ensure!(
            objects.contains("pageviews-p0000") && objects.contains("pageview-aggregates-p0000"),
            "{objects}"
        );
        let replicas = page.text("#replicas").await?;
        let all = ["ingest-api-1", "aggregator-1", "s3-sink-1"];
        ensure!(all.iter().all(|name| replicas.contains(name)), "{replicas}");
        let (result, audit) = (result(page).await?, page.text("#a-when").await?);
        ensure!(["ok", "on_its_way"].contains(&result.as_str()), "{result}: {audit}");
        ensure!(audit.starts_with("audited") && !audit.contains(" 0 events in raw/"), "{audit}");
        let checks = page.evaluate("document.querySelectorAll('#checks li').length").await?;
        ensure!(checks.as_u64() >= Some(10), "{checks} checks");
        Ok(Some(()))
    })
    .await?;
    picture(page, "working").await
}

async fn it_fits_a_phone(page: &mut Browser) -> Result<()> {
    for scheme in ["light", "dark"] {
        page.show(320, 1400, scheme).await?;
        let width = page.evaluate("document.documentElement.scrollWidth").await?;
        ensure!(width.as_u64() <= Some(320), "it is {width} wide on a screen of 320");
        picture(page, &format!("phone-{scheme}")).await?;
    }
    page.show(1280, 1560, "light").await
}

/// A page of somebody else's, whose name points here, reads nothing; and nobody writes.
async fn only_this_machine_reads_it(url: &str) -> Result<()> {
    let client = Client::new();
    for (method, host, path, status) in [
        (Method::GET, "localhost", "/", 200),
        (Method::GET, "localhost", "/healthz", 200),
        (Method::GET, "localhost", "/secrets", 404),
        (Method::GET, "pipeline.example", "/snapshot.json", 421),
        (Method::POST, "localhost", "/snapshot.json", 405),
    ] {
        let request = client.request(method.clone(), format!("{url}{path}")).header(HOST, host);
        let answer = request.send().await?;
        ensure!(answer.status() == status, "{method} {host} {path}: {}", answer.status());
        let policy = answer.headers().get("content-security-policy");
        ensure!(
            policy.is_some_and(|policy| policy.as_bytes().starts_with(b"default-src 'none'")),
            "{policy:?}"
        );
    }
    Ok(())
}

/// The same on a terminal, or rather where there is none.
async fn watch(stack: &Stack) -> Result<()> {
    eventually("watch says that it works", SOON, async || {
        let sources = stack.dashboard_sources();
        let sources = sources.iter().map(String::as_str);
        let arguments: Vec<_> =
            ["watch", "--once", "--audit-every", "0s"].into_iter().chain(sources).collect();
        let output = stack.cli(&arguments).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success() && text.contains("✔ Working:"), "{:?}: {text}", output.status.code());
        ensure!(text.contains("s3-sink-1") && text.contains("events/s"), "{text}");
        Ok(Some(()))
    })
    .await
}

async fn verdict(page: &mut Browser, beginning: &str) -> Result<()> {
    eventually(beginning, SOON, async || {
        let verdict = page.text("#verdict p").await?;
        ensure!(verdict.starts_with(beginning), "{verdict}");
        Ok(Some(()))
    })
    .await
}

async fn result(page: &mut Browser) -> Result<String> {
    let result = page.evaluate("document.querySelector('#audit').dataset.result").await?;
    Ok(result.as_str().unwrap_or_default().to_owned())
}

/// For whoever wants to see it: a picture in the folder of E2E_PICTURES.
async fn picture(page: &mut Browser, name: &str) -> Result<()> {
    let Some(folder) = std::env::var_os("E2E_PICTURES").map(PathBuf::from) else { return Ok(()) };
    let file = folder.join(format!("dashboard-{name}.png"));
    std::fs::write(&file, page.picture().await?).with_context(|| format!("cannot write {}", file.display()))
}
