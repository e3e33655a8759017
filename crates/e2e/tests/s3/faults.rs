//! S3 is away, refuses, loses answers and hangs, and sinks are killed in the middle of it, under load: every event answered
//! 202 is in `raw/` once and counted once, no sink takes more memory than it may, none is thrown out of its group, and all
//! of them say what is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    Fault, Group, Load, Often, Proxy, Requests, Rule, conclude, eventually, flood, for_a_while, length,
    metric, minutes_ago, options, peak_memory, seed, trouble,
};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use stack::{Service, Stack};

const MEMORY_LIMIT: &str = "64MiB";
/// The limit, and what a process has besides.
const MEMORY: u64 = (64 + 100) << 20;
/// They are 240 MB, and no format makes 180 MB of it: far more than `MEMORY`.
const FLOOD: u64 = 120_000;
const OUTAGE: Duration = Duration::from_secs(20);
/// Shorter than the outage: a sink that waits for S3 where it should poll is thrown out of its group.
const MAX_POLL_INTERVAL: &str = "10000";
const PAUSED: &str = "s3_paused_partitions";

/// How long S3 is bad, where `E2E_SECONDS` does not say otherwise.
const LENGTH: Duration = Duration::from_secs(30);
/// How long it is bad in one way, in milliseconds.
const WEATHER: std::ops::Range<u64> = 500..2500;
const SINKS: u16 = 2;
/// Longer than any attempt of a sink that hangs.
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_bad_s3_loses_and_doubles_nothing_and_takes_no_sink_down() -> Result<()> {
    let (time, seed) = (length(LENGTH)?, seed()?);
    let mut stack = Stack::start(options("s3-faults")?.replicas(Service::S3Sink, 0)).await?;
    let proxy = Proxy::before(&stack, seed).await?;
    stack.set_env(Service::S3Sink, "PAGEVIEW_SINK__MEMORY_LIMIT", MEMORY_LIMIT);
    stack.set_env(Service::S3Sink, "PAGEVIEW_KAFKA__PROPERTIES__MAX_POLL_INTERVAL_MS", MAX_POLL_INTERVAL);
    stack.scale(Service::S3Sink, 1).await?;
    let load = start_load(&stack, (OUTAGE + time) * 3, seed).await?;
    outage(&stack, &proxy, seed).await?;
    stack.scale(Service::S3Sink, SINKS).await?;
    storm(&stack, &proxy, time, StdRng::seed_from_u64(seed)).await?;
    stack.wait_ready().await?;
    conclude(&stack, load).await?;
    stack.stop().await?;
    Ok(())
}

async fn start_load(stack: &Stack, duration: Duration, seed: u64) -> Result<Load> {
    let (duration, seed) = (format!("{}s", duration.as_secs()), seed.to_string());
    // Until it is told to stop. Minutes of the past close when they are over, not when the clock says so.
    let load = ["--rate", "3000", "--batch", "100", "--duration", &duration];
    let events = ["--history", "60m", "--disorder", "5s", "--late", "2", "--seed", &seed];
    Load::start(stack, "s3-faults", &[&load[..], &events].concat()).await
}

/// S3 is away, and more comes than memory holds.
async fn outage(stack: &Stack, proxy: &Proxy, seed: u64) -> Result<()> {
    let before = settled(stack, 1).await?;
    proxy.set_away(true);
    eventually("the sink says which S3 is away", WITHIN, async || {
        let words = trouble(stack, Service::S3Sink, 1, "s3").await?.unwrap_or_default();
        ensure!(words.contains("s3://pageview-data") && words.contains(proxy.url()), "it says {words:?}");
        println!("s3 is down: {words}");
        Ok(Some(()))
    })
    .await?;
    let flooded = flood(stack, FLOOD, minutes_ago(600)?.start(), seed).await?;
    eventually("the sink reads no more", WITHIN, async || {
        Ok((metric(stack, Service::S3Sink, 1, PAUSED).await? > 0).then_some(()))
    })
    .await?;
    for_a_while(OUTAGE).await;
    let during = settled(stack, 1).await?;
    ensure!(before == during, "members left while S3 was away: {before:?}, {during:?}");

    proxy.set_away(false);
    eventually("the sink is well again, and reads on", WITHIN, async || {
        let paused = metric(stack, Service::S3Sink, 1, PAUSED).await?;
        let trouble = trouble(stack, Service::S3Sink, 1, "s3").await?;
        ensure!(paused == 0 && trouble.is_none(), "{paused} partitions are paused, {trouble:?}");
        Ok(Some(()))
    })
    .await?;
    let peak = peak_memory(stack, Service::S3Sink, 1)?;
    println!("{} MiB at most, while {} MiB came", peak >> 20, flooded >> 20);
    ensure!(peak <= MEMORY, "it took {} MiB, of {}", peak >> 20, MEMORY >> 20);
    ensure!(stack.replica(Service::S3Sink, 1)?.crashes() == 0, "it crashed");
    Ok(())
}

/// The members of all groups, once each has so many.
async fn settled(stack: &Stack, members: usize) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for group in Group::ALL {
        all.extend(group.settled(stack, members).await?);
    }
    Ok(all)
}

/// For `time` S3 is bad in one way after the other, and sinks are killed.
async fn storm(stack: &Stack, proxy: &Proxy, time: Duration, mut random: StdRng) -> Result<()> {
    let (mut passed, mut kills, mut deck) = (Duration::ZERO, 0, Vec::new());
    // A fault that has never happened, for sinks were dead whenever it would have, gets some more time.
    while passed < time || (passed < time * 2 && !missing(proxy).is_empty()) {
        if deck.is_empty() {
            deck.extend(faults());
            deck.shuffle(&mut random);
        }
        proxy.play(deck.pop());
        let half = Duration::from_millis(random.random_range(WEATHER) / 2);
        let victim = random.random_range(0..2 * SINKS);
        for_a_while(half).await;
        // It may be dead already.
        if (1..=SINKS).contains(&victim) && stack.replica(Service::S3Sink, victim)?.kill_9().await.is_ok() {
            kills += 1;
        }
        for_a_while(half).await;
        passed += half * 2;
    }
    proxy.calm();
    println!("in {passed:?}: {kills} kills, {:?}", proxy.happened());
    ensure!(kills >= time.as_secs() / 15, "{kills} kills only");
    ensure!(missing(proxy).is_empty(), "never happened: {:?}", missing(proxy));
    Ok(())
}

/// The faults that have never happened so far.
fn missing(proxy: &Proxy) -> Vec<Fault> {
    let happened = proxy.happened();
    faults().iter().map(|rule| rule.fault).filter(|fault| !happened.contains_key(fault)).collect()
}

/// Everything that S3 does to the sinks.
fn faults() -> Vec<Rule> {
    let everything = Requests::all;
    let uploads = || Requests::put("");
    vec![
        Rule::new(everything(), Often::Share(0.5), Fault::InternalError),
        Rule::new(everything(), Often::Share(0.7), Fault::SlowDown),
        Rule::new(everything(), Often::Share(0.5), Fault::Lost),
        Rule::new(uploads(), Often::Share(0.5), Fault::AnswerLost),
        Rule::new(everything(), Often::Times(4), Fault::Hang),
        Rule::new(uploads(), Often::Share(0.5), Fault::Slow(Duration::from_secs(4))),
    ]
}
