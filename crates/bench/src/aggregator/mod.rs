//! The aggregator catching up, beside a loop that only polls and a Kafka Streams program of the same topology.

mod bare;
mod ours;
mod report;
mod restart;
mod streams;

use std::time::Duration;

use model::Window;
use service::clock;

use crate::arena::Arena;
use crate::arguments::{AggregatorArguments, Contestant};
use crate::table::{Results, say};
use crate::topics::{self, TOPIC};
use crate::{fill, fill::Filled};

use ours::Aggregator;
use report::Subject;
use restart::Replay;
use streams::Streams;

/// How long ago the first event was ingested: recent enough for every retention.
const AGE: Duration = Duration::from_secs(60 * 60);
/// The default of `pipeline.window.grace`.
const GRACE: Duration = Duration::from_secs(30);

/// Measures what was asked for, and returns the tables.
pub(crate) async fn measure(arguments: &AggregatorArguments, arena: &Arena) -> anyhow::Result<String> {
    let start = Window::containing(clock::now().minus(AGE).to_seconds()).start();
    let recipe = arguments.shared.recipe(start.to_millis());
    let bootstrap = arena.bootstrap();
    topics::create(&bootstrap, &[(TOPIC, topics::PARTITIONS)]).await?;
    let Filled { tally, .. } = fill::fill(&bootstrap, TOPIC, &recipe)?;
    let closed = tally.closed(GRACE);
    let streams = match arguments.has(Contestant::Streams) {
        true => Some(Streams::prepare(arena, arguments.streams_commit_interval_ms).await?),
        false => None,
    };
    let replay = match arguments.has(Contestant::Restart) {
        true => Some(Replay::prepare(arena, &recipe, arguments.replay, start).await?),
        false => None,
    };
    let mut results = Results::default();
    for round in 1..=arguments.shared.rounds {
        eprintln!("round {round} of {}", arguments.shared.rounds);
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
    Ok(report::to_markdown(&results))
}
