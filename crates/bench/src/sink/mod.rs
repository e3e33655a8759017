//! The sink draining a topic into an empty bucket, in each of its formats, beside a plain sink in Java.

mod ours;
mod plain;
mod report;
mod stored;

use std::time::Duration;

use model::EpochMillis;
use service::clock;

use crate::arena::Arena;
use crate::arguments::{Program, SinkArguments};
use crate::fill::{self, Filled};
use crate::table::{Results, say};
use crate::topics::{self, TOPIC};

use report::Drain;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Measures what was asked for, and returns the tables.
pub(crate) async fn measure(arguments: &SinkArguments, arena: &Arena) -> anyhow::Result<String> {
    let start = last_full_hour(clock::now());
    let recipe = arguments.shared.recipe(start);
    let bootstrap = arena.bootstrap();
    topics::create(&bootstrap, &[(TOPIC, topics::PARTITIONS)]).await?;
    let Filled { bytes, .. } = fill::fill(&bootstrap, TOPIC, &recipe)?;
    // A record of a later hour of ingestion makes the sink write all before it: no timer has to run out, and nothing has
    // to be stopped, until everything is in S3.
    fill::end(&bootstrap, TOPIC, start.plus(HOUR))?;
    let mut results = Results::default();
    for round in 1..=arguments.shared.rounds {
        eprintln!("round {round} of {}", arguments.shared.rounds);
        for drainer in arguments.drainers() {
            // A fresh one: what it keeps of one contestant must not slow the next one down.
            let emulator = arena.broker.emulator().await?;
            let (usage, stored) = match drainer.program() {
                Program::Ours(format) => ours::drain(arena, &emulator, format, recipe.events).await?,
                Program::Java { level } => {
                    let name = format!("java-{level}-{round}");
                    plain::drain(arena, &emulator, &name, level, recipe.events).await?
                }
            };
            emulator.stop().await?;
            say(drainer, &usage);
            results.add(drainer, Drain { usage, bytes, stored });
        }
    }
    Ok(report::to_markdown(&results))
}

/// The start of the last hour that has passed whole.
fn last_full_hour(now: EpochMillis) -> EpochMillis {
    let hour = HOUR.as_millis() as i64;
    EpochMillis(now.0 / hour * hour - hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_full_hour_ends_before_now() {
        // 2021-01-26T12:04:44Z and 2021-01-26T12:00:00Z.
        for now in [1_611_662_684_000, 1_611_662_400_000] {
            assert_eq!(last_full_hour(EpochMillis(now)), EpochMillis(1_611_658_800_000));
        }
    }
}
