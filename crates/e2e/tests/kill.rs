//! `kill -9` under load: every event answered 202 is in `raw/` once and counted once.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Load, audit, eventually, for_a_while, options, seed};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use stack::{Service, Stack};

/// The replicas of each service.
const REPLICAS: u16 = 2;
/// How often each service is killed.
const KILLS: usize = 5;

#[tokio::test]
async fn kill_9_of_aggregator_and_sink_loses_and_doubles_nothing() -> Result<()> {
    let services = [Service::Aggregator, Service::S3Sink];
    let seed = seed()?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut kills = services.repeat(KILLS);
    kills.shuffle(&mut random);

    let options =
        services.iter().fold(options("kill")?, |options, &service| options.replicas(service, REPLICAS));
    let stack = Stack::start(options).await?;
    let text = seed.to_string();
    let load = ["--rate", "20000", "--duration", "40s", "--batch", "200", "--disorder", "5s", "--late", "2"];
    let load = Load::start(&stack, "kill", &[&load[..], &["--seed", &text]].concat()).await?;
    for service in kills {
        let (pause, number) = (random.random_range(500..4000), random.random_range(1..=REPLICAS));
        for_a_while(Duration::from_millis(pause)).await;
        println!("after {pause} ms: kill -9 of {service} {number}");
        // After the last kill the supervisor may still be waiting; while it starts it can be killed.
        eventually("it runs again", Duration::from_secs(15), async || {
            Ok(Some(stack.kill_9(service, number).await?))
        })
        .await?;
    }
    let report = load.end().await?;
    println!("{}", report.text);
    stack.wait_ready().await?;
    println!("{}", audit(&stack, report.receipts()).await?);
    for service in services {
        let crashes = (1..=REPLICAS).map(|number| Ok(stack.replica(service, number)?.crashes()));
        let crashes: u32 = crashes.sum::<Result<_>>()?;
        ensure!(crashes >= u32::try_from(KILLS)?, "{service} was killed {crashes} times only");
    }
    stack.stop().await?;
    Ok(())
}
