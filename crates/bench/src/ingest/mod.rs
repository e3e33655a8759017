//! The API under load, beside the least that one can do and what one would write first. Client, service and broker share
//! the machine.

mod client;
mod report;
mod rival;
mod server;

use std::time::Duration;

use service::clock;

use crate::arena::Arena;
use crate::arguments::{IngestArguments, Poster};
use crate::events::Recipe;
use crate::table::Results;
use crate::topics;

use client::Load;
use report::{Run, Subject};

pub(crate) use rival::rival;

/// Events in a request, and how many connections send such requests.
const SIZES: [(usize, usize); 3] = [(1, 256), (100, 64), (1000, 8)];
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// Kafka compiles its code while it is first used, which takes a core from whoever comes first: so long it is used before
/// anything is measured.
const UNMEASURED: Duration = Duration::from_secs(20);
/// Different requests of a size, sent in turn.
const REQUESTS: usize = 64;

/// Measures what was asked for, and returns the tables.
pub(crate) async fn measure(arguments: &IngestArguments, arena: &Arena) -> anyhow::Result<String> {
    let recipe = arguments.shared.recipe(clock::now().minus(Duration::from_secs(60 * 60)));
    let mut results = Results::default();
    eprintln!("warming up");
    server::under(arena, Poster::IngestApi, "warm-up", &load(&recipe, SIZES[0], UNMEASURED)).await?;
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
        for sizes in SIZES.into_iter().filter(|(size, _)| arguments.has_size(*size)) {
            let load = load(&recipe, sizes, Duration::from_secs(arguments.seconds));
            let (size, _) = sizes;
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

fn load(recipe: &Recipe, (size, connections): (usize, usize), seconds: Duration) -> Load {
    Load {
        bodies: bodies(recipe, size),
        path: if size == 1 { "/api/pageviews" } else { "/api/pageviews/batch" },
        events: size as u64,
        connections,
        warm_up: WARM_UP,
        seconds,
    }
}

/// Bodies of `size` events each that happened about now, as the API takes them.
fn bodies(recipe: &Recipe, size: usize) -> Vec<Vec<u8>> {
    let recent = Recipe { start: clock::now().minus(recipe.span), ..recipe.clone() };
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
