//! Random lives of a topic of three partitions and two threads: disorder, garbage, repeats, clocks ahead, gaps, idling,
//! crashes, zombies, partitions that move, members that are expelled, transactions that abort or hang, the memory valve, a
//! grace and a guard that change, logs that lose their head or their tail. Whatever happens, every record comes out
//! exactly once, and where nothing closes a window early, as what a naive reading of the whole log says.
//!
//! A failure prints the steps, shrunk to a few; proptest keeps its seed beside this file and replays it first.

mod broker;
mod cluster;
mod log;
mod member;
mod naive;
mod outcome;
mod steps;

use proptest::prelude::*;

use cluster::{Cluster, Postcodes};
use outcome::{IdsAre, Outcome, a_window_is_one_row, the_balance_is_even};
use steps::{Feature, Step, life};

fn lived(postcodes: Postcodes, steps: &[Step]) -> Cluster {
    let mut cluster = Cluster::new(postcodes);
    cluster.run(steps);
    cluster
}

/// Proptest's usual knobs (`PROPTEST_CASES`, `PROPTEST_RNG_SEED`) still apply.
fn config() -> ProptestConfig {
    ProptestConfig { cases: ProptestConfig::default().cases.max(1_500), ..ProptestConfig::default() }
}

const DISTURBANCES: &[Feature] = &[
    Feature::Crashes,
    Feature::Zombies,
    Feature::Moves,
    Feature::Expulsions,
    Feature::Aborts,
    Feature::Gaps,
    Feature::ClocksAhead,
    Feature::Garbage,
    Feature::EventIds,
];
const CLOSING_EARLY: &[Feature] = &[Feature::Idling, Feature::GraceChanges];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn disturbed_lives_read_as_undisturbed_ones(steps in life(&[DISTURBANCES])) {
        Outcome::of(&lived(Postcodes::OneEach, &steps)).is_as_the_naive_model_says()?;
        let cluster = lived(Postcodes::Shared, &steps);
        a_window_is_one_row(&cluster)?;
        the_balance_is_even(&cluster)?;
    }

    #[test]
    fn idling_and_another_grace_lose_and_double_nothing(steps in life(&[DISTURBANCES, CLOSING_EARLY])) {
        Outcome::of(&lived(Postcodes::OneEach, &steps)).has_every_record_once(IdsAre::Exact)?;
        let cluster = lived(Postcodes::Shared, &steps);
        a_window_is_one_row(&cluster)?;
        the_balance_is_even(&cluster)?;
    }

    #[test]
    fn the_memory_valve_changes_no_sum(steps in life(&[DISTURBANCES, &[Feature::Valve]])) {
        let cluster = lived(Postcodes::OneEach, &steps);
        Outcome::of(&cluster).is_as_the_naive_model_says()?;
        Outcome::of(&cluster).has_every_record_once(IdsAre::Exact)?;
        the_balance_is_even(&lived(Postcodes::Shared, &steps))?;
    }

    #[test]
    fn event_ids_that_take_too_much_are_forgotten_and_no_event_is(
        steps in life(&[DISTURBANCES, CLOSING_EARLY, &[Feature::Valve, Feature::DroppedIds]]),
    ) {
        Outcome::of(&lived(Postcodes::OneEach, &steps)).has_every_record_once(IdsAre::Forgettable)?;
        the_balance_is_even(&lived(Postcodes::Shared, &steps))?;
    }

    #[test]
    fn another_guard_loses_and_doubles_nothing(
        steps in life(&[DISTURBANCES, CLOSING_EARLY, &[Feature::SkewChanges, Feature::Valve]]),
    ) {
        Outcome::of(&lived(Postcodes::OneEach, &steps)).has_every_record_once(IdsAre::Exact)?;
        the_balance_is_even(&lived(Postcodes::Shared, &steps))?;
    }

    #[test]
    fn a_log_that_lost_its_head_costs_only_what_it_lost(
        steps in life(&[DISTURBANCES, CLOSING_EARLY, &[Feature::LostHeads, Feature::Valve]]),
    ) {
        Outcome::of(&lived(Postcodes::OneEach, &steps)).has_every_record_once(IdsAre::Forgettable)?;
    }

    #[test]
    fn a_log_that_lost_its_tail_costs_only_what_it_lost(
        steps in life(&[DISTURBANCES, CLOSING_EARLY, &[Feature::LostTails, Feature::Valve]]),
    ) {
        Outcome::of(&lived(Postcodes::OneEach, &steps)).has_every_record_once(IdsAre::Forgettable)?;
    }
}
