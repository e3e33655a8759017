//! Sinks come, go and are restarted in order under load: every event answered 202 is in `raw/` once. And a trickle costs what
//! it should: it is in S3 in time, in no more objects than the interval asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    Foreign, Load, byte_lines, conclude, eventually, for_a_while, keys, metric, minutes_ago, options, produce,
};
use model::topic;
use stack::{Service, Stack};
use tokio::time::Instant;

const SINKS: u16 = 3;
const REDOS: &str = "s3_redos_total";

const INTERVAL: Duration = Duration::from_secs(3);
/// Each range takes up to a tenth off its interval, so that not all are uploaded at once.
const SHORTEST: Duration = Duration::from_millis(2700);
const TRICKLE: u64 = 16;
/// To be cut, uploaded and seen, on a machine that is busy.
const MARGIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn sinks_come_and_go_and_are_restarted_under_load() -> Result<()> {
    let mut stack = Stack::start(options("s3-scale")?).await?;
    // Until it is told to stop.
    let load = ["--rate", "5000", "--duration", "200s", "--batch", "100"];
    let load = Load::start(&stack, "s3-scale", &[&load[..], &["--history", "40m"]].concat()).await?;
    stack.scale(Service::S3Sink, SINKS).await?;
    for number in 1..=SINKS {
        for_a_while(Duration::from_secs(2)).await;
        let sink = stack.replica(Service::S3Sink, number)?;
        ensure!(sink.stop().await, "{} did not stop by itself", sink.name());
        sink.start().await;
        sink.ready().await?;
    }
    let mut redos = 0;
    for number in 1..=SINKS {
        redos += metric(&stack, Service::S3Sink, number, REDOS).await?;
    }
    ensure!(redos == 0, "{redos} ranges were left unfinished by sinks that stopped in order");
    stack.scale(Service::S3Sink, 1).await?;
    for_a_while(Duration::from_secs(2)).await;
    ensure!(stack.replica(Service::S3Sink, 1)?.crashes() == 0, "it crashed");
    conclude(&stack, load).await?;
    stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_trickle_is_in_s3_in_time_and_in_no_more_objects_than_it_must() -> Result<()> {
    let interval = format!("{}s", INTERVAL.as_secs());
    let stack =
        Stack::start(options("trickle")?.env("PAGEVIEW_SINK__RAW__FLUSH_INTERVAL", &interval)).await?;
    let (time, started) = (minutes_ago(5)?.start().0, Instant::now());
    for number in 0..TRICKLE {
        let event = format!(
            r#"{{"user_id":{number},"postcode":"SW19","webpage":"www.website.com","timestamp":{time}}}"#
        );
        let one = Foreign { value: Some(event.into_bytes()), partition: Some(3), ..Foreign::default() };
        produce(&stack, topic::PAGEVIEWS, "none", vec![one]).await?;
        for_a_while(Duration::from_secs(1)).await;
    }
    let last = Instant::now();
    // Nothing comes after the last one: time alone cuts its range.
    eventually("the last event is in S3", INTERVAL + MARGIN, async || {
        let events = byte_lines(&stack, "raw/").await?.len();
        ensure!(events as u64 == TRICKLE, "{events} events");
        Ok(Some(()))
    })
    .await?;
    println!("the last event was in S3 after {:?}", last.elapsed());

    let elapsed = started.elapsed();
    let most = elapsed.div_duration_f64(SHORTEST) as usize + 1;
    let mut objects = BTreeMap::<_, usize>::new();
    for key in keys(&stack, "raw/").await? {
        let name = key.rsplit('/').next().context("a key without a name")?;
        let (partition, _) = name.split_once("-o").context("a name without offsets")?;
        *objects.entry(partition.to_owned()).or_default() += 1;
    }
    println!("{objects:?} in {elapsed:?}, at most {most}");
    ensure!(
        objects.len() == 1 && objects.values().all(|count| *count <= most),
        "{objects:?}, at most {most}"
    );
    stack.stop().await?;
    Ok(())
}
