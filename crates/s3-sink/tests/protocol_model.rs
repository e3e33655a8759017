//! Random runs of the protocol: several owners at once (fencing is off), crashes between any two steps, late PUTs,
//! lost answers, stale and reset and expired offsets, deletions. What runs is the crate's own planner and protocol; this
//! file is only the world around them: a log, a bucket, and a scheduler that decides which request lands when.
//!
//! After each run the world calms down, one owner reads to the end, and then every record must be in exactly one object,
//! exactly once, and the ledger must tile the partition. `SEED=… RUNS=1 cargo test …` replays a run.

mod world;

use world::{Faults, World};

fn runs(default: u64) -> u64 {
    std::env::var("RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn first_seed() -> u64 {
    std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The first violation in `runs` runs, with the seed that shows it.
fn search(faults: Faults, runs: u64) -> Result<(), String> {
    let from = first_seed();
    for seed in from..from + runs {
        World::new(seed, faults).run().map_err(|violation| format!("SEED={seed}: {violation}"))?;
    }
    Ok(())
}

#[test]
fn every_record_is_in_one_object_once() {
    search(Faults::default(), runs(4000)).unwrap();
}

/// A checker that finds nothing proves nothing: these faults of the bucket must be found.
#[test]
fn a_bucket_that_ignores_the_condition_is_found_out() {
    let found = search(Faults { overwrites: true, ..Faults::default() }, 2000);
    println!("{}", found.expect_err("conditional PUTs do not matter?"));
}

#[test]
fn a_bucket_whose_lists_are_stale_is_found_out() {
    let found = search(Faults { stale_lists: true, ..Faults::default() }, 2000);
    println!("{}", found.expect_err("consistent lists do not matter?"));
}
