//! What can happen, and how often.

use proptest::prelude::*;
use proptest::strategy::Union;

/// One thing that happens. Seconds throughout.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// An event that happened `behind` ago (or is ahead, below zero) is ingested.
    Append {
        behind: i64,
        after: i64,
    },
    AppendGarbage,
    AppendControl,
    Wait(i64),
    Read,
    Begin,
    Commit,
    Abort,
    Idle,
    Crash {
        into_zombie: bool,
        grace: Option<i64>,
        skew: Option<i64>,
    },
    ZombieReads,
    ZombieBegins,
    ZombieCommits,
    LoseHead {
        share: u8,
    },
    LoseTail {
        share: u8,
    },
}

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    Crashes,
    Zombies,
    Aborts,
    Gaps,
    ClocksAhead,
    Garbage,
    Idling,
    GraceChanges,
    SkewChanges,
    LostHeads,
    LostTails,
}

/// Lives with these kinds of trouble.
pub(crate) fn life(features: &[Feature]) -> impl Strategy<Value = Vec<Step>> + use<> {
    let step = step(features);
    prop_oneof![1 => prop::collection::vec(step.clone(), 1..40), 2 => prop::collection::vec(step, 40..160)]
}

fn step(features: &[Feature]) -> Union<BoxedStrategy<Step>> {
    let has = |feature| features.contains(&feature);
    let behind = prop_oneof![
        1 => -100_i64..=0,
        2 => 80_i64..200,
        if has(Feature::ClocksAhead) { 1 } else { 0 } => -400_i64..-100,
        6 => 0_i64..50,
    ];
    let after = prop_oneof![2 => Just(0_i64), 3 => 1_i64..20];
    let append = (behind, after).prop_map(|(behind, after)| Step::Append { behind, after });
    let grace = if has(Feature::GraceChanges) {
        prop::option::of(prop::sample::select(vec![0_i64, 30, 60])).boxed()
    } else {
        Just(None).boxed()
    };
    let skew = if has(Feature::SkewChanges) {
        prop::option::of(prop::sample::select(vec![0_i64, 40, 200])).boxed()
    } else {
        Just(None).boxed()
    };
    let crash = (any::<bool>(), grace, skew).prop_map({
        let zombies = has(Feature::Zombies);
        move |(zombie, grace, skew)| Step::Crash { into_zombie: zombie && zombies, grace, skew }
    });
    let share = 0_u8..=100;
    let all = [
        (28, true, append.boxed()),
        (34, true, Just(Step::Read).boxed()),
        (8, true, Just(Step::Begin).boxed()),
        (7, true, Just(Step::Commit).boxed()),
        (2, has(Feature::Aborts), Just(Step::Abort).boxed()),
        (2, has(Feature::Gaps), Just(Step::AppendControl).boxed()),
        (2, has(Feature::Garbage), Just(Step::AppendGarbage).boxed()),
        (5, has(Feature::Idling), (30_i64..120).prop_map(Step::Wait).boxed()),
        (4, has(Feature::Idling), Just(Step::Idle).boxed()),
        (5, has(Feature::Crashes), crash.boxed()),
        (6, has(Feature::Zombies), Just(Step::ZombieReads).boxed()),
        (3, has(Feature::Zombies), Just(Step::ZombieBegins).boxed()),
        (3, has(Feature::Zombies), Just(Step::ZombieCommits).boxed()),
        (1, has(Feature::LostHeads), share.clone().prop_map(|share| Step::LoseHead { share }).boxed()),
        (1, has(Feature::LostTails), share.prop_map(|share| Step::LoseTail { share }).boxed()),
    ];
    Union::new_weighted(
        all.into_iter().filter(|(_, on, _)| *on).map(|(weight, _, step)| (weight, step)).collect(),
    )
}
