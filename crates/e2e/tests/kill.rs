//! `kill -9` and rebalances at random moments, under load: every event answered 202 is in `raw/` once and counted once,
//! in one row a postcode and minute.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Load, conclude, for_a_while, length, options, seed, sums};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use stack::{Service, Stack};

/// How long, where `E2E_SECONDS` does not say otherwise.
const LENGTH: Duration = Duration::from_secs(30);
/// Between two blows, in milliseconds.
const PAUSES: std::ops::Range<u64> = 400..2400;
/// So long an aggregator that was killed comes back as the member that it was, and so long as another: then the group
/// waits for the dead one's session to end, and moves its partitions.
const MEMBERSHIP: Duration = Duration::from_secs(15);
const STATIC_MEMBERSHIP: &str = "PAGEVIEW_KAFKA__STATIC_MEMBERSHIP";
/// A minute of the events passes in five seconds, so that windows close, and rows are written, all the time.
const MINUTES_A_MINUTE: u32 = 12;
/// Aggregators have two threads each.
const AGGREGATORS: u16 = 3;
const SINKS: u16 = 2;

/// What is done to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    /// `kill -9` of one replica.
    Kill(Service),
    /// One aggregator leaves in order, or comes back.
    Scale,
}

/// They fall in a random order, all of them before the first falls again.
const BLOWS: [Blow; 7] = [
    Blow::Kill(Service::IngestApi),
    Blow::Kill(Service::Aggregator),
    Blow::Kill(Service::Aggregator),
    Blow::Kill(Service::Aggregator),
    Blow::Kill(Service::S3Sink),
    Blow::Kill(Service::S3Sink),
    Blow::Scale,
];

#[tokio::test]
async fn kill_9_and_rebalances_at_random_moments_lose_and_double_nothing() -> Result<()> {
    let (time, seed) = (length(LENGTH)?, seed()?);
    let options = options("kill")?.replicas(Service::Aggregator, 0).replicas(Service::S3Sink, SINKS);
    let mut stack = Stack::start(options).await?;
    stack.set_env(Service::Aggregator, STATIC_MEMBERSHIP, "true");
    stack.scale(Service::Aggregator, AGGREGATORS).await?;
    let load = start_load(&stack, time * 2, seed).await?;
    let blows = break_for(&mut stack, time, StdRng::seed_from_u64(seed)).await?;
    let counted = sums(&stack).await?.values().sum::<u64>();
    stack.wait_ready().await?;
    conclude(&stack, load).await?;
    for (blow, times) in &blows {
        println!("{blow}: {times} times in {time:?}");
        ensure!(*times >= time.as_secs() / 15, "{blow}: {times} times only");
    }
    println!("{counted} events were in committed rows by then");
    ensure!(counted > 0, "no row was written while it was broken: nothing could have been doubled");
    stack.stop().await?;
    Ok(())
}

async fn start_load(stack: &Stack, duration: Duration, seed: u64) -> Result<Load> {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    let (history, seed) = (seconds(duration * MINUTES_A_MINUTE), seed.to_string());
    let events = ["--history", &history, "--disorder", "5s", "--late", "2", "--seed", &seed];
    let load = ["--rate", "20000", "--batch", "200", "--duration", &seconds(duration)];
    Load::start(stack, "kill", &[&load[..], &events].concat()).await
}

/// Strikes for `time`; tells how often each blow has hit.
async fn break_for(stack: &mut Stack, time: Duration, mut random: StdRng) -> Result<BTreeMap<Blow, u64>> {
    let (mut hits, mut passed) = (BLOWS.map(|blow| (blow, 0)).into(), Duration::ZERO);
    let mut deck = Vec::new();
    while passed < time {
        let pause = Duration::from_millis(random.random_range(PAUSES));
        let number = random.random();
        if deck.is_empty() {
            deck.extend(BLOWS);
            deck.shuffle(&mut random);
        }
        for_a_while(pause).await;
        passed += pause;
        let comes_back = (passed.as_secs() / MEMBERSHIP.as_secs()).is_multiple_of(2);
        stack.set_env(Service::Aggregator, STATIC_MEMBERSHIP, &comes_back.to_string());
        if let Some(blow) = deck.pop() {
            strike(stack, blow, number, &mut hits).await?;
        }
    }
    Ok(hits)
}

/// `number` decides which replica. It may be down: dead from an earlier blow, or scaled away.
async fn strike(stack: &mut Stack, blow: Blow, number: u16, hits: &mut BTreeMap<Blow, u64>) -> Result<()> {
    match blow {
        Blow::Kill(service) => {
            let replicas = match service {
                Service::IngestApi => 1,
                Service::Aggregator => AGGREGATORS,
                Service::S3Sink => SINKS,
            };
            let number = number % replicas + 1;
            if let Ok(replica) = stack.replica(service, number)
                && replica.kill_9().await.is_ok()
            {
                println!("{blow} {number}");
                *hits.entry(blow).or_default() += 1;
            }
        }
        Blow::Scale => {
            let all = stack.replica(Service::Aggregator, AGGREGATORS).is_ok();
            let replicas = if all { AGGREGATORS - 1 } else { AGGREGATORS };
            println!("{blow} to {replicas}");
            stack.set_replicas(Service::Aggregator, replicas).await?;
            *hits.entry(blow).or_default() += 1;
        }
    }
    Ok(())
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(service) => write!(f, "kill -9 of {service}"),
            Self::Scale => write!(f, "scale aggregator"),
        }
    }
}
