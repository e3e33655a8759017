//! What surrounds a benchmark: Kafka, a folder, and their end.

use std::fs;

use anyhow::{Context as _, anyhow};

use crate::arena::Arena;
use crate::arguments::{Arguments, Benchmark, Shared};
use crate::{aggregator, ingest, machine, sink};

/// Measures what was asked for, and returns the tables.
///
/// # Errors
/// When something could not be started, or did its work wrong. The logs are kept then, and the error says where.
pub async fn run(arguments: &Arguments) -> anyhow::Result<String> {
    match &arguments.benchmark {
        Benchmark::Aggregator(arguments) => {
            within(&arguments.shared, async |arena| aggregator::measure(arguments, arena).await).await
        }
        Benchmark::Sink(arguments) => {
            within(&arguments.shared, async |arena| sink::measure(arguments, arena).await).await
        }
        Benchmark::Ingest(arguments) => {
            within(&arguments.shared, async |arena| ingest::measure(arguments, arena).await).await
        }
        Benchmark::Rival(arguments) => ingest::rival(arguments).await.map(|()| String::new()),
        Benchmark::Ceiling(arguments) => sink::ceiling(arguments).map(|()| String::new()),
    }
}

async fn within(
    shared: &Shared,
    measure: impl AsyncFnOnce(&Arena) -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    let folder = shared.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = folder.join(format!("pageview-bench-{:08x}", rand::random::<u32>()));
    let logs = || format!("its logs are in {}", folder.join("logs").display());
    let arena = Arena::open(&folder, &shared.env).await.with_context(logs)?;
    let machine = machine::describe(arena.broker.java()).await;
    let measured = tokio::select! {
        // First, so that a signal is awaited from the beginning; it is heard between two steps.
        biased;
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        measured = measure(&arena) => measured,
    };
    let stopped = arena.broker.stop().await;
    let tables = measured.with_context(logs)?;
    stopped?;
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    Ok(format!("{machine}; {} rounds\n\n{tables}", shared.rounds))
}
