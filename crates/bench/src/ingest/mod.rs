//! The API under load, beside the least that one can do and what one would write first. Client, service and broker share
//! the machine.

mod client;
mod report;
mod rival;
mod server;

use std::time::Duration;

use model::EpochMillis;
use service::clock;

use crate::arena::Arena;
use crate::arguments::{IngestArguments, Poster};
use crate::table::Results;
use crate::topics;

use client::Load;
use report::{Run, Subject};

pub(crate) use rival::rival;

/// Events in a request, and how many connections send such requests.
const SIZES: [(usize, usize); 3] = [(1, 256), (100, 64), (1000, 8)];
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// Different requests of a size, sent in turn.
const REQUESTS: usize = 64;

/// Measures what was asked for, and returns the tables.
pub(crate) async fn measure(arguments: &IngestArguments, arena: &Arena) -> anyhow::Result<String> {
    let recipe = arguments.shared.recipe(clock::now().minus(Duration::from_secs(60 * 60)));
    let mut results = Results::default();
    for round in 1..=arguments.shared.rounds {
        eprintln!("round {round} of {}", arguments.shared.rounds);
        if arguments.has(Poster::Bare) {
            let topic = format!("bare-{round}");
            topics::create(&arena.bootstrap(), &[(&topic, topics::PARTITIONS)]).await?;
            let run = Run::without_latency(rival::produce(arena, &topic, arguments.shared.events).await?);
            topics::delete(&arena.bootstrap(), &topic).await?;
            report::say(Subject::Bare, &run);
            results.add(Subject::Bare, run);
        }
        for (size, connections) in SIZES.into_iter().filter(|(size, _)| arguments.has_size(*size)) {
            let load = Load {
                bodies: bodies(&recipe, size),
                path: if size == 1 { "/api/pageviews" } else { "/api/pageviews/batch" },
                events: size as u64,
                connections,
                warm_up: WARM_UP,
                seconds: Duration::from_secs(arguments.seconds),
            };
            for (poster, subject) in [
                (Poster::IngestApi, Subject::IngestApi(size)),
                (Poster::Actix, Subject::Actix(size)),
                (Poster::Naive, Subject::Naive(size)),
            ] {
                if arguments.has(poster) {
                    let name = format!("{poster:?}-{size}-{round}").to_lowercase();
                    let run = server::under(arena, poster, &name, &load).await?;
                    report::say(subject, &run);
                    results.add(subject, run);
                }
            }
        }
    }
    Ok(report::to_markdown(&results))
}

/// Bodies of `size` events each that happened about now, as the API takes them.
fn bodies(recipe: &crate::events::Recipe, size: usize) -> Vec<Vec<u8>> {
    let recent = crate::events::Recipe { start: EpochMillis(clock::now().0 - 60_000), ..recipe.clone() };
    let mut json = Vec::new();
    let mut body = |first: usize| {
        let mut body = Vec::new();
        for index in first..first + size {
            recent.write(&recent.event(index as u64), &mut json);
            body.extend_from_slice(if body.is_empty() { b"[" } else { b"," });
            body.extend_from_slice(&json);
        }
        body.push(b']');
        if size == 1 { body[1..body.len() - 1].to_vec() } else { body }
    };
    (0..REQUESTS).map(|request| body(request * size)).collect()
}
