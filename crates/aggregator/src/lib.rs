//! Counts pageviews by postcode and minute, exactly once.
//!
//! ```text
//!              one thread = one consumer + one transactional producer + the windows of its partitions
//!
//! pageviews --group--> partitions --windows--> Flush --transaction--> pageview-aggregates
//!               |                     |                    |          late-pageview-aggregates
//!           rebalance              restore <------- committed offset  pageview-dead-letters
//! ```
//! `windows` and [`resume_point`] are pure; everything else is the shell around them. What comes out of a window
//! and the offset that must not be read again are committed together, so a crash at any moment leaves either both or
//! neither. There is no changelog: what an open window needs is read again from the log itself.

mod dead_letter;
mod error;
mod group;
mod metrics;
mod partitions;
mod rebalance;
mod restore;
pub mod resume_point;
mod startup;
mod transaction;
pub mod windows;
mod worker;

pub use error::Error;
pub use metrics::METRICS;

use std::time::Duration;

use service::kafka::LogEnds;
use service::{Component, Config, Health, Process, Program, Shutdown};

use crate::metrics::Metrics;
use crate::worker::Worker;

const FROM_BEGINNING: &str = "from-beginning";

/// What the binary is called, and takes.
pub const PROGRAM: Program = Program {
    name: "aggregator",
    version: env!("CARGO_PKG_VERSION"),
    about: "Counts pageviews by postcode and minute, exactly once",
    default_port: 8081,
    has_api: false,
    check: service::kafka::group::check_static_membership,
    metrics: &metrics::METRICS,
    views: &[],
    switches: &[(
        FROM_BEGINNING,
        "Count all retained events although no offset is committed and results are there: they are counted again",
    )],
};

/// Counts until asked to stop.
///
/// # Errors
/// When a thread cannot go on; the others finish first.
pub async fn run(process: Process) -> Result<(), Error> {
    let from_beginning = process.has_switch(FROM_BEGINNING);
    let Process { config, health, shutdown, .. } = process;
    let work = tokio::task::spawn_blocking(move || work(&config, from_beginning, &health, &shutdown));
    work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// What one thread tells about its connection to Kafka, and about its work.
#[derive(Clone)]
struct ThreadHealth {
    kafka: Component,
    aggregation: Component,
}

/// A thread looks after its health every second, unless it hangs in a call.
const HEALTH_IS_GOOD_FOR: Duration = Duration::from_secs(30);

/// Those of the threads, and the share in `kafka` of whoever asks where the log ends.
fn of_threads(health: &Health, threads: usize) -> (Vec<ThreadHealth>, Component) {
    let names: Vec<_> =
        (0..threads).map(|thread| format!("thread {thread}")).chain(["log".to_owned()]).collect();
    let of = |component, names: &[String]| {
        let component = health.component(component).good_for(HEALTH_IS_GOOD_FOR);
        component.split(names.iter().map(String::as_str), "joining the group")
    };
    let (mut kafka, aggregation) = (of("kafka", &names), of("aggregation", &names[..threads]));
    let log = kafka.remove(threads);
    let both = kafka.into_iter().zip(aggregation);
    (both.map(|(kafka, aggregation)| ThreadHealth { kafka, aggregation }).collect(), log)
}

fn work(config: &Config, from_beginning: bool, health: &Health, shutdown: &Shutdown) -> Result<(), Error> {
    metrics::start_at_zero();
    if !startup::check(config, from_beginning, &health.component("kafka"), shutdown)? {
        return Ok(());
    }
    tokio::runtime::Handle::current().block_on(startup::check_timestamps(config));
    let instance =
        config.pipeline.instance_id.clone().unwrap_or_else(|| format!("{:016x}", rand::random::<u64>()));
    let (health, log) = of_threads(health, config.pipeline.threads);
    let pipeline = &config.pipeline;
    let topics = vec![pipeline.pageviews_topic.clone()];
    let ends =
        LogEnds::watch(config, &pipeline.group_id, topics, log, shutdown.clone()).map_err(Error::Client)?;
    std::thread::scope(|scope| {
        let start = |(thread, health): (usize, ThreadHealth)| {
            let id = format!("{}-{instance}-{thread}", config.pipeline.group_id);
            let ends = ends.clone();
            std::thread::Builder::new().name(format!("count-{thread}")).spawn_scoped(scope, move || {
                let result = Worker::run(config, &id, health, Metrics::of_thread(thread), ends, shutdown);
                // One thread less is a process to be replaced: its partitions would go to the others for good.
                shutdown.request();
                result
            })
        };
        let started: Vec<_> = health.into_iter().enumerate().map(start).collect();
        if started.iter().any(Result::is_err) {
            shutdown.request();
        }
        let joined = started.into_iter().map(|thread| match thread?.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.fold(Ok(()), Result::and)
    })
}
