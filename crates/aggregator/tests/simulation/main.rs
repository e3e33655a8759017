//! Random lives of one partition: disorder, garbage, clocks ahead, gaps, idling, crashes, zombies, aborts, a grace that
//! changes, a log that loses its head or its tail. Whatever happens, every record comes out exactly once, and where
//! nothing but crashes happens, as what a naive reading of the whole log says.
//!
//! A failure prints the steps, shrunk to a few; proptest keeps its seed beside this file and replays it first.

mod cluster;
mod log;
mod member;
mod naive;
mod steps;

use proptest::prelude::*;

use cluster::{Cluster, Fate, Postcodes};
use steps::{Feature, Step, life};

/// Every record of the log, as itself: under a postcode of its own, a count is the trace of one record.
fn every_record_comes_out_exactly_once(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::new(Postcodes::OneEach);
    cluster.run(steps);
    for (id, _) in cluster.log().surviving() {
        let fates = cluster.fates(id);
        prop_assert_eq!(fates.len(), 1, "record {} came out as {:?}", id, fates);
    }
    for id in cluster.log().lost() {
        prop_assert!(cluster.fates(id).len() <= 1, "record {} came out as {:?}", id, cluster.fates(id));
    }
    Ok(())
}

/// As if one process had read the log from its start to its end, once and undisturbed.
fn every_record_comes_out_as_the_naive_model_says(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::new(Postcodes::OneEach);
    cluster.run(steps);
    for (id, expected) in naive::fates(cluster.log()) {
        prop_assert_eq!(cluster.fates(id), [expected], "record {}", id);
    }
    Ok(())
}

/// Records share postcodes here, as real ones do.
fn a_window_is_one_row_and_the_sums_are_right(steps: &[Step]) -> Result<(), TestCaseError> {
    let mut cluster = Cluster::new(Postcodes::Shared);
    cluster.run(steps);
    let mut rows = cluster.aggregates().to_vec();
    rows.sort_unstable();
    let twice = rows
        .windows(2)
        .find(|pair| (pair[0].postcode, pair[0].window_start) == (pair[1].postcode, pair[1].window_start));
    prop_assert_eq!(twice, None, "emitted twice");
    let expected = cluster.log().surviving().filter(|(_, record)| naive::can_be_counted(record)).count();
    prop_assert_eq!(cluster.counted(), expected as u64);
    prop_assert_eq!(cluster.resume_point().map_or(0, |point| point.open), 0);
    prop_assert_eq!(cluster.resume_point().map_or(0, |point| point.dead), cluster.dead_letters() as u64);
    Ok(())
}

/// Proptest's usual knobs (`PROPTEST_CASES`, `PROPTEST_RNG_SEED`) still apply.
fn config() -> ProptestConfig {
    ProptestConfig { cases: ProptestConfig::default().cases.max(1_500), ..ProptestConfig::default() }
}

const DISTURBANCES: &[Feature] = &[
    Feature::Crashes,
    Feature::Zombies,
    Feature::Aborts,
    Feature::Gaps,
    Feature::ClocksAhead,
    Feature::Garbage,
];
const CLOSING_EARLY: &[Feature] = &[Feature::Idling, Feature::GraceChanges];

proptest! {
    #![proptest_config(config())]

    #[test]
    fn disturbed_lives_read_as_undisturbed_ones(steps in life(DISTURBANCES)) {
        every_record_comes_out_as_the_naive_model_says(&steps)?;
        a_window_is_one_row_and_the_sums_are_right(&steps)?;
    }

    #[test]
    fn idling_and_another_grace_lose_and_double_nothing(steps in life(&[DISTURBANCES, CLOSING_EARLY].concat())) {
        every_record_comes_out_exactly_once(&steps)?;
        a_window_is_one_row_and_the_sums_are_right(&steps)?;
    }

    #[test]
    fn another_guard_loses_and_doubles_nothing(
        steps in life(&[DISTURBANCES, CLOSING_EARLY, &[Feature::SkewChanges]].concat()),
    ) {
        every_record_comes_out_exactly_once(&steps)?;
    }

    #[test]
    fn a_log_that_lost_its_head_costs_only_what_it_lost(
        steps in life(&[DISTURBANCES, CLOSING_EARLY, &[Feature::LostHeads]].concat()),
    ) {
        every_record_comes_out_exactly_once(&steps)?;
    }

    #[test]
    fn a_log_that_lost_its_tail_costs_only_what_it_lost(
        steps in life(&[DISTURBANCES, CLOSING_EARLY, &[Feature::LostTails]].concat()),
    ) {
        every_record_comes_out_exactly_once(&steps)?;
    }
}
