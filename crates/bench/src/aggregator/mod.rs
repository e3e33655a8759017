//! The order of everything.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use model::{EpochSeconds, Window};
use service::clock;

use crate::aggregator::Aggregator;
use crate::arena::Arena;
use crate::arguments::{Arguments, Contestant};
use crate::events::{Recipe, postcodes};
use crate::report::{Results, Subject};
use crate::restart::Replay;
use crate::streams::Streams;
use crate::usage::Usage;
use crate::{bare, fill, machine, topics};

const TOPIC: &str = "pageviews";
/// Over how much time the events are spread: windows open and close as they do in real life.
const SPAN: Duration = Duration::from_secs(20 * 60);
/// How long ago the first was ingested: recent enough for every retention.
const AGE: Duration = Duration::from_secs(60 * 60);
/// How many seconds an event may lie before its ingestion.
const DISORDER: u64 = 10;
/// The default of `pipeline.window.grace`.
const GRACE: Duration = Duration::from_secs(30);

/// Measures what was asked for, and returns the table.
///
/// # Errors
/// When something could not be started, or counted wrong. The logs are kept then, and the error says where.
pub async fn run(arguments: &Arguments) -> anyhow::Result<String> {
    let folder = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = folder.join(format!("pageview-bench-{:08x}", rand::random::<u32>()));
    let logs = || format!("its logs are in {}", folder.join("logs").display());
    let arena = Arena::open(&folder, &arguments.env).await.with_context(logs)?;
    let machine = machine::describe(arena.broker.java()).await;
    let measured = tokio::select! {
        // First, so that a signal is awaited from the beginning; it is heard between two steps.
        biased;
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        measured = measure(arguments, &arena) => measured,
    };
    let stopped = arena.broker.stop().await;
    let results = measured.with_context(logs)?;
    stopped?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    Ok(format!("{machine}; {} rounds\n\n{}", arguments.rounds, results.to_markdown()))
}

async fn measure(arguments: &Arguments, arena: &Arena) -> anyhow::Result<Results> {
    let start = Window::containing(clock::now().minus(AGE).to_seconds()).start();
    let recipe = recipe(arguments, start);
    let bootstrap = arena.bootstrap();
    topics::create(&bootstrap, &[(TOPIC, topics::PARTITIONS)]).await?;
    let closed = fill::fill(&bootstrap, TOPIC, &recipe)?.closed(GRACE);
    let streams = match arguments.has(Contestant::Streams) {
        true => Some(Streams::prepare(arena, arguments.streams_commit_interval_ms).await?),
        false => None,
    };
    let replay = match arguments.has(Contestant::Restart) {
        true => Some(Replay::prepare(arena, &recipe, arguments.replay, start).await?),
        false => None,
    };
    let mut results = Results::default();
    for round in 1..=arguments.rounds {
        eprintln!("round {round} of {}", arguments.rounds);
        let mut add = |subject, usage| {
            say(subject, &usage);
            results.add(subject, usage);
        };
        if arguments.has(Contestant::Aggregator) {
            let aggregator = Aggregator::prepare(arena, TOPIC, format!("aggregator-{round}")).await?;
            add(Subject::Aggregator, aggregator.catch_up(recipe.events, &closed).await?);
        }
        if arguments.has(Contestant::Bare) {
            add(Subject::Bare, bare::read(arena, TOPIC, &format!("bare-{round}"), recipe.events).await?);
        }
        if let Some(streams) = &streams {
            let name = format!("streams-{round}");
            add(Subject::Streams, streams.catch_up(TOPIC, &name, recipe.events, &closed).await?);
        }
        if let Some(replay) = &replay {
            add(Subject::Restart, replay.restart(arena, format!("restart-{round}")).await?);
            let name = format!("bare-replay-{round}");
            add(Subject::BareReplay, bare::read(arena, replay.topic(), &name, arguments.replay).await?);
        }
    }
    Ok(results)
}

fn recipe(arguments: &Arguments, start: EpochSeconds) -> Recipe {
    Recipe {
        seed: arguments.seed,
        events: arguments.events,
        postcodes: postcodes(arguments.postcodes as usize),
        start: start.to_millis(),
        span: SPAN,
        disorder: DISORDER,
    }
}

fn say(subject: Subject, usage: &Usage) {
    eprintln!(
        "{subject}: {:.2} s, {:.2} M events/s, {:.2} CPU s per million, {} MB",
        usage.took.as_secs_f64(),
        usage.rate() / 1e6,
        usage.cpu_per_million(),
        usage.peak_rss / 1_000_000
    );
}
