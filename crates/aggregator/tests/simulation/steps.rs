//! What can happen, and how often.

use aggregator::windows::Ids;
use proptest::prelude::*;
use proptest::strategy::Union;

use crate::cluster::{MEMBERS, PARTITIONS};

/// One thing that happens. Seconds throughout.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// An event that happened `behind` ago (or is ahead, below zero) is ingested.
    Append {
        partition: usize,
        behind: i64,
        after: i64,
        event_id: Option<u8>,
    },
    AppendGarbage {
        partition: usize,
    },
    AppendControl {
        partition: usize,
    },
    Wait(i64),
    /// One record, of the partition numbered `from` among the member's, or of the next that has one.
    Read {
        member: usize,
        from: usize,
    },
    Begin {
        member: usize,
    },
    SendOffsets {
        member: usize,
    },
    Commit {
        member: usize,
    },
    Abort {
        member: usize,
    },
    Idle,
    Relieve {
        member: usize,
        ids: Ids,
    },
    RelieveOpenTooLong {
        member: usize,
    },
    Crash {
        member: usize,
        zombie: bool,
        grace: Option<i64>,
        skew: Option<i64>,
    },
    Move {
        partition: usize,
        to: usize,
    },
    /// The group takes the member to be dead.
    Expel {
        member: usize,
    },
    /// The member learns what the group has decided.
    Hear {
        member: usize,
    },
    /// The broker aborts transactions that hang.
    TimeOut,
    ZombiesRead {
        from: usize,
    },
    ZombiesBegin,
    ZombiesSendOffsets,
    ZombiesCommit,
    LoseHead {
        partition: usize,
        share: u8,
    },
    LoseTail {
        partition: usize,
        share: u8,
    },
}

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    Crashes,
    Zombies,
    Moves,
    Expulsions,
    Aborts,
    Gaps,
    ClocksAhead,
    Garbage,
    EventIds,
    Idling,
    GraceChanges,
    SkewChanges,
    Valve,
    DroppedIds,
    LostHeads,
    LostTails,
}

/// Lives with these kinds of trouble.
pub(crate) fn life(features: &[&[Feature]]) -> impl Strategy<Value = Vec<Step>> + use<> {
    let step = step(&features.concat());
    prop_oneof![1 => prop::collection::vec(step.clone(), 1..60), 2 => prop::collection::vec(step, 60..300)]
}

fn step(features: &[Feature]) -> Union<BoxedStrategy<Step>> {
    use Feature::{
        Aborts, Crashes, EventIds, Expulsions, Gaps, Garbage, Idling, LostHeads, LostTails, Moves, Valve,
        Zombies,
    };

    let has = |feature| features.contains(&feature);
    let (member, partition, share) = (0..MEMBERS, 0..PARTITIONS, 0_u8..=100);
    let of_member = |step: fn(usize) -> Step| member.clone().prop_map(step).boxed();
    let of_partition = |step: fn(usize) -> Step| partition.clone().prop_map(step).boxed();
    let all = [
        (28, true, append(has(EventIds), has(Feature::ClocksAhead))),
        (
            34,
            true,
            (member.clone(), partition.clone())
                .prop_map(|(member, from)| Step::Read { member, from })
                .boxed(),
        ),
        (8, true, of_member(|member| Step::Begin { member })),
        (8, true, of_member(|member| Step::SendOffsets { member })),
        (8, true, of_member(|member| Step::Commit { member })),
        (6, true, of_member(|member| Step::Hear { member })),
        (2, has(Aborts), of_member(|member| Step::Abort { member })),
        (1, has(Aborts), Just(Step::TimeOut).boxed()),
        (2, has(Gaps), of_partition(|partition| Step::AppendControl { partition })),
        (2, has(Garbage), of_partition(|partition| Step::AppendGarbage { partition })),
        (5, has(Idling), (30_i64..120).prop_map(Step::Wait).boxed()),
        (4, has(Idling), Just(Step::Idle).boxed()),
        (4, has(Crashes), crash(has(Zombies), has(Feature::GraceChanges), has(Feature::SkewChanges))),
        (
            3,
            has(Moves),
            (partition.clone(), member.clone())
                .prop_map(|(partition, to)| Step::Move { partition, to })
                .boxed(),
        ),
        (2, has(Expulsions), of_member(|member| Step::Expel { member })),
        (4, has(Valve), relieve(has(Feature::DroppedIds))),
        (2, has(Feature::DroppedIds), of_member(|member| Step::RelieveOpenTooLong { member })),
        (6, has(Zombies), partition.clone().prop_map(|from| Step::ZombiesRead { from }).boxed()),
        (3, has(Zombies), Just(Step::ZombiesBegin).boxed()),
        (3, has(Zombies), Just(Step::ZombiesSendOffsets).boxed()),
        (3, has(Zombies), Just(Step::ZombiesCommit).boxed()),
        (
            1,
            has(LostHeads),
            (partition.clone(), share.clone())
                .prop_map(|(partition, share)| Step::LoseHead { partition, share })
                .boxed(),
        ),
        (
            1,
            has(LostTails),
            (partition, share).prop_map(|(partition, share)| Step::LoseTail { partition, share }).boxed(),
        ),
    ];
    Union::new_weighted(
        all.into_iter().filter(|(_, on, _)| *on).map(|(weight, _, step)| (weight, step)).collect(),
    )
}

fn append(event_ids: bool, clocks_ahead: bool) -> BoxedStrategy<Step> {
    let behind = prop_oneof![
        1 => -100_i64..=0,
        2 => 80_i64..200,
        u32::from(clocks_ahead) => -400_i64..-100,
        6 => 0_i64..50,
    ];
    let after = prop_oneof![6 => Just(0_i64), 3 => 1_i64..4, 1 => 1_i64..30];
    let event_id = if event_ids { prop::option::of(0_u8..2).boxed() } else { Just(None).boxed() };
    (0..PARTITIONS, behind, after, event_id)
        .prop_map(|(partition, behind, after, event_id)| Step::Append { partition, behind, after, event_id })
        .boxed()
}

fn crash(zombies: bool, grace_changes: bool, skew_changes: bool) -> BoxedStrategy<Step> {
    let one_of = |changes: bool, values: &[i64]| match changes {
        true => prop::option::of(prop::sample::select(values.to_vec())).boxed(),
        false => Just(None).boxed(),
    };
    (0..MEMBERS, any::<bool>(), one_of(grace_changes, &[0, 30, 60]), one_of(skew_changes, &[0, 40, 200]))
        .prop_map(move |(member, zombie, grace, skew)| Step::Crash {
            member,
            zombie: zombie && zombies,
            grace,
            skew,
        })
        .boxed()
}

fn relieve(dropping: bool) -> BoxedStrategy<Step> {
    (0..MEMBERS, any::<bool>())
        .prop_map(move |(member, drop)| Step::Relieve {
            member,
            ids: if drop && dropping { Ids::Drop } else { Ids::Keep },
        })
        .boxed()
}
