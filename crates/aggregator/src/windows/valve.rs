//! The memory valve: which partition writes its open counts as partial rows when open windows outgrow their limit.

/// What open windows take, in bytes: [`Ids::Keep`] sets the counts free, and [`Ids::Drop`] all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Counts, and windows that hold nothing else.
    pub counts: usize,
    /// Identities of events, and their windows.
    pub ids: usize,
}

impl Memory {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.counts + self.ids
    }
}

/// What becomes of the identities in windows whose counts are written early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Repeats are still known; after a crash their records are read again.
    Keep,
    /// A repeat of an event from before counts again.
    Drop,
}

/// The partition to relieve next, one of `partitions` which together have `limit` bytes, and what of its identities.
///
/// | memory | then |
/// | --- | --- |
/// | up to the limit | nothing |
/// | above, identities up to half of it | the partition with the most counts writes them |
/// | above, identities more than half | the one with the most identities drops them, too |
///
/// One at a time, as what is written waits in memory, too, until it is committed. Each sets something free, so that this
/// comes to an end.
#[must_use]
pub fn to_relieve(
    partitions: impl Iterator<Item = (i32, Memory)> + Clone,
    limit: usize,
) -> Option<(i32, Ids)> {
    let total = |of: fn(&Memory) -> usize| partitions.clone().map(|(_, memory)| of(&memory)).sum::<usize>();
    let (counts, ids) = (total(|memory| memory.counts), total(|memory| memory.ids));
    if counts + ids <= limit {
        None
    } else if ids > limit / 2 {
        partitions.clone().max_by_key(|(_, memory)| memory.ids).map(|(partition, _)| (partition, Ids::Drop))
    } else {
        partitions
            .clone()
            .max_by_key(|(_, memory)| memory.counts)
            .map(|(partition, _)| (partition, Ids::Keep))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn relieved(partitions: [(usize, usize); 2], limit: usize) -> Option<(i32, Ids)> {
        let partitions = partitions.map(|(counts, ids)| Memory { counts, ids });
        to_relieve((0..).zip(partitions), limit)
    }

    proptest! {
        #[test]
        fn it_comes_to_an_end(
            mut partitions in prop::collection::vec((0_usize..1000, 0_usize..1000), 0..6),
            limit in 0_usize..4000,
        ) {
            for _ in 0..=2 * partitions.len() {
                let memory = partitions.iter().map(|&(counts, ids)| Memory { counts, ids });
                let Some((partition, ids)) = to_relieve((0..).zip(memory), limit) else {
                    return Ok(());
                };
                let partition = &mut partitions[partition.unsigned_abs() as usize];
                prop_assert!(partition.0 > 0 || ids == Ids::Drop && partition.1 > 0, "nothing is set free");
                partition.0 = 0;
                if ids == Ids::Drop {
                    partition.1 = 0;
                }
            }
            prop_assert!(false, "it goes on for ever");
        }
    }

    #[test]
    fn the_table() {
        assert_eq!(relieved([(50, 0), (50, 0)], 100), None);
        assert_eq!(relieved([(50, 0), (51, 0)], 100), Some((1, Ids::Keep)));
        assert_eq!(relieved([(51, 10), (1, 40)], 100), Some((0, Ids::Keep)));
        assert_eq!(relieved([(51, 10), (1, 41)], 100), Some((1, Ids::Drop)));
    }
}
