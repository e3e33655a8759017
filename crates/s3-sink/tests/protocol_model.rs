//! Random runs of the protocol: several owners at once (fencing is off), crashes between any two steps, late PUTs,
//! lost answers, stale and reset and expired offsets, retention that passes the sink, deletions, encoders that take their
//! time, other configurations after a restart. What runs is the crate's own planner, encoders and protocol; this file is
//! only the world around them: a log, a bucket, and a scheduler that decides which request lands when.
//!
//! After each run the world calms down, one owner reads to the end, and then every record must be in exactly one object,
//! exactly once, or told lost, and the ledger must tile the partition. `SEED=… RUNS=1 cargo test …` replays a run.

mod world;

use world::{Bug, World};

fn runs(default: u64) -> u64 {
    std::env::var("RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn first_seed() -> u64 {
    std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The first violation in `runs` runs, with the seed that shows it.
fn search(bug: Option<Bug>, runs: u64) -> Result<(), String> {
    let from = first_seed();
    for seed in from..from + runs {
        World::new(seed, bug).run().map_err(|violation| format!("SEED={seed}: {violation}"))?;
    }
    Ok(())
}

#[test]
fn every_record_is_in_one_object_once() {
    search(None, runs(4000)).unwrap();
}

/// A checker that finds nothing proves nothing.
#[test]
fn every_bug_put_in_on_purpose_is_found() {
    for bug in Bug::ALL {
        let found = search(Some(bug), 4000);
        println!("{bug:?}: {}", found.expect_err(&format!("{bug:?} does not matter?")));
    }
}
