//! `kill -9` of a sink between each two steps of its protocol, under load: what it had begun is finished by a successor
//! that is configured otherwise and has lost the committed offsets, and what its last requests bring too late changes
//! nothing. Every event answered 202 is in `raw/` once and counted once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{
    Group, Held, Load, Moment, Offsets, Proxy, Requests, conclude, eventually, keys, kill_only_broker,
    metric, minutes_ago, options, post, seed,
};
use model::Window;
use stack::{Service, Stack};

const WITHIN: Duration = Duration::from_secs(40);

/// Format, size and age of the raw ranges: each sink has the next.
const SETTINGS: [[&str; 3]; 4] = [
    ["ndjson.gz", "32MiB", "2s"],
    ["parquet", "16KiB", "5s"],
    ["ndjson", "64KiB", "1s"],
    ["ndjson.zst", "16KiB", "3s"],
];
const NAMES: [&str; 3] =
    ["PAGEVIEW_SINK__RAW__FORMAT", "PAGEVIEW_SINK__RAW__FLUSH_BYTES", "PAGEVIEW_SINK__RAW__FLUSH_INTERVAL"];

const WRITES: &str = r#"s3_writes_total{writer="raw"}"#;

/// What S3 answers where something is already.
const PRECONDITION_FAILED: u16 = 412;

/// A sink that is killed over and over, behind a proxy.
struct Victim<'a> {
    stack: &'a Stack,
    proxy: Proxy,
    lives: usize,
}

#[tokio::test]
async fn a_kill_between_any_two_steps_is_made_good_by_the_successor() -> Result<()> {
    let seed = seed()?;
    // The shortest that a broker allows: offsets are changed when the group has noticed that its member is dead.
    let options = options("steps")?.env("PAGEVIEW_KAFKA__PROPERTIES__SESSION_TIMEOUT_MS", "6000");
    let mut stack = Stack::start(options.replicas(Service::S3Sink, 0)).await?;
    let proxy = Proxy::before(&stack, seed).await?;
    stack.set_restarts(Service::S3Sink, false);
    stack.scale(Service::S3Sink, 1).await?;
    // Until it is told to stop.
    let seed = seed.to_string();
    let load = ["--rate", "1000", "--duration", "600s", "--batch", "50", "--seed", &seed];
    let load = Load::start(&stack, "steps", &[&load[..], &["--history", "200m"]].concat()).await?;

    let mut victim = Victim { stack: &stack, proxy, lives: 0 };
    let (entry, object) = ("ledger/pageviews/p", "raw/");
    victim.dies(entry, Moment::Before, Offsets::ToLatest).await?;
    victim.dies(entry, Moment::After, Offsets::Deleted).await?;
    victim.dies(object, Moment::Before, Offsets::ToEarliest).await?;
    victim.dies(object, Moment::After, Offsets::ToLatest).await?;
    victim.dies_before_the_commit(object).await?;
    victim.dies_amid_objects(Offsets::Deleted).await?;

    conclude(&stack, load).await?;
    stack.stop().await?;
    Ok(())
}

impl Victim<'_> {
    /// Kills the sink while it waits for the answer to a PUT below `prefix`, which S3 has seen or not.
    async fn dies(&mut self, prefix: &str, moment: Moment, offsets: Offsets) -> Result<()> {
        let mut hold = self.proxy.hold(Requests::put(prefix), moment);
        let key = hold.reached(WITHIN).await?;
        self.stack.kill_9(Service::S3Sink, 1).await?;
        println!("killed at {key}, {moment:?}; offsets: {offsets:?}");
        self.succeeded(hold.close(), moment, Group::RAW, offsets).await
    }

    /// Kills the sink when it knows that the object is there, and Kafka knows nothing.
    async fn dies_before_the_commit(&mut self, prefix: &str) -> Result<()> {
        let mut hold = self.proxy.hold(Requests::put(prefix), Moment::After);
        let key = hold.reached(WITHIN).await?;
        let before = metric(self.stack, Service::S3Sink, 1, WRITES).await?;
        let kafka = self.stack.kafka();
        kafka.set_restarts(false);
        kill_only_broker(self.stack).await?;
        hold.close().let_go().await?;
        eventually("the sink knows that its object is there", WITHIN, async || {
            let writes = metric(self.stack, Service::S3Sink, 1, WRITES).await?;
            Ok((writes > before).then_some(()))
        })
        .await?;
        self.stack.kill_9(Service::S3Sink, 1).await?;
        println!("killed after {key}, before the commit");
        kafka.set_restarts(true);
        kafka.start().await;
        kafka.ready().await?;
        self.next_life().await
    }

    /// Kills the sink when of the objects of one range, which are one a day, one is missing.
    async fn dies_amid_objects(&mut self, offsets: Offsets) -> Result<()> {
        // Of days that the load never comes near to: it is far ahead of them.
        let days: Vec<Window> = (2..=6).map(|days| minutes_ago(days * 24 * 60)).collect::<Result<_>>()?;
        let mut hold = self.proxy.hold(Requests::put(&format!("late/dt={}/", days[2].day())), Moment::Before);
        let events = days.iter().map(|day| {
            let time = day.start().0;
            format!(
                r#"{{"user_id":{time},"postcode":"SW19","webpage":"www.website.com","timestamp":{time}}}"#
            )
        });
        let events: Vec<_> = events.collect();
        let answer = post(self.stack, "/api/pageviews/batch", format!("[{}]", events.join(","))).await?;
        ensure!(answer.status == 202, "{answer:?}");
        let key = hold.reached(WITHIN).await?;
        let name = key.rsplit('/').next().context("a key without a name")?;
        eventually("another object of the range is there", WITHIN, async || {
            let others = keys(self.stack, "late/").await?;
            Ok(others.iter().any(|other| other.ends_with(name)).then_some(()))
        })
        .await?;
        self.stack.kill_9(Service::S3Sink, 1).await?;
        println!("killed before {key}, after the other days; offsets: {offsets:?}");
        self.succeeded(hold.close(), Moment::Before, Group::LATE, offsets).await
    }

    /// A successor does what was left to do, and then the last requests of the dead reach S3.
    async fn succeeded(&mut self, held: Held, moment: Moment, group: Group, offsets: Offsets) -> Result<()> {
        group.change(self.stack, offsets).await?;
        self.next_life().await?;
        for key in held.keys() {
            eventually("a successor has written what the dead one wanted to", WITHIN, async || {
                Ok((!keys(self.stack, &key).await?.is_empty()).then_some(()))
            })
            .await?;
        }
        let answers = held.let_go().await?;
        let refused = answers.iter().all(|(_, status)| *status == PRECONDITION_FAILED);
        ensure!(moment == Moment::After || refused, "S3 took what came too late: {answers:?}");
        println!("{} requests came too late", answers.len());
        Ok(())
    }

    /// Starts another sink, with other settings.
    async fn next_life(&mut self) -> Result<()> {
        self.lives += 1;
        for (name, value) in NAMES.iter().zip(SETTINGS[self.lives % SETTINGS.len()]) {
            self.stack.set_env(Service::S3Sink, name, value);
        }
        let sink = self.stack.replica(Service::S3Sink, 1)?;
        sink.start().await;
        Ok(sink.ready().await?)
    }
}
