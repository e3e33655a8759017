//! Whether two places hold the same records, told in constant memory and whatever order they are read in.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

use siphasher::sip128::{Hasher128, SipHasher13};

/// Hashes records, with a key that nobody knows: no two sets of records can be made up whose sums are equal. Sums are
/// comparable only where one key made them.
#[derive(Debug, Clone)]
pub(super) struct Fingerprints {
    keyed: SipHasher13,
}

/// The sum of the 128-bit hashes of records. Equal sums are equal records, each as often: another record, one more or one
/// less changes the sum, but for a chance of one in 2^128.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    pub(super) records: u64,
    /// Those whose offset is not known.
    pub(super) unplaced: u64,
    /// Over each record's value.
    values: u128,
    /// Over each record's value and offset.
    placed: u128,
}

impl Default for Fingerprints {
    fn default() -> Self {
        let random = || RandomState::new().hash_one(());
        Self { keyed: SipHasher13::new_with_keys(random(), random()) }
    }
}

impl Fingerprints {
    /// Adds one record to `sum`.
    pub(super) fn add(&self, sum: &mut Sum, offset: Option<i64>, value: Option<&[u8]>) {
        let value = self.hash(value);
        sum.records += 1;
        sum.values = sum.values.wrapping_add(value);
        match offset {
            Some(offset) => sum.placed = sum.placed.wrapping_add(self.hash((offset, value))),
            None => sum.unplaced += 1,
        }
    }

    fn hash(&self, of: impl Hash) -> u128 {
        let mut hasher = self.keyed;
        of.hash(&mut hasher);
        hasher.finish128().as_u128()
    }
}

impl Sum {
    /// Whether these are the records of `whole`, of which every offset is known: with the same offsets too, where they
    /// are known here.
    pub(super) const fn is_of(&self, whole: &Self) -> bool {
        self.records == whole.records
            && self.values == whole.values
            && (self.unplaced > 0 || self.placed == whole.placed)
    }

    /// All of the records of both.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            unplaced: self.unplaced + other.unplaced,
            values: self.values.wrapping_add(other.values),
            placed: self.placed.wrapping_add(other.placed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Record = (Option<i64>, Option<&'static [u8]>);

    fn sum(fingerprints: &Fingerprints, records: &[Record]) -> Sum {
        let mut sum = Sum::default();
        records.iter().for_each(|(offset, value)| fingerprints.add(&mut sum, *offset, *value));
        sum
    }

    #[test]
    fn the_order_and_the_parts_do_not_matter() {
        let fingerprints = Fingerprints::default();
        let [a, b, c]: [Record; 3] = [(Some(1), Some(b"a")), (Some(2), Some(b"b")), (Some(3), None)];
        let whole = sum(&fingerprints, &[a, b, c]);
        assert!(sum(&fingerprints, &[c, a, b]).is_of(&whole));
        assert!(sum(&fingerprints, &[b]).plus(sum(&fingerprints, &[c, a])).is_of(&whole));
    }

    #[test]
    fn any_other_set_of_records_is_told_apart() {
        let fingerprints = Fingerprints::default();
        let whole = sum(&fingerprints, &[(Some(1), Some(b"a")), (Some(2), Some(b"b"))]);
        let others: [&[Record]; 7] = [
            &[(Some(1), Some(b"a"))],
            &[(Some(1), Some(b"a")), (Some(2), Some(b"b")), (Some(2), Some(b"b"))],
            &[(Some(1), Some(b"a")), (Some(1), Some(b"a"))],
            &[(Some(1), Some(b"b")), (Some(2), Some(b"a"))],
            &[(Some(1), Some(b"a")), (Some(2), None)],
            &[(Some(1), Some(b"a")), (Some(3), Some(b"b"))],
            &[(None, Some(b"a")), (Some(2), Some(b"c"))],
        ];
        for other in others {
            assert!(!sum(&fingerprints, other).is_of(&whole), "{other:?}");
        }
    }

    #[test]
    fn without_offsets_the_values_decide() {
        let fingerprints = Fingerprints::default();
        let whole = sum(&fingerprints, &[(Some(1), Some(b"a")), (Some(2), Some(b"")), (Some(3), None)]);
        let bare = sum(&fingerprints, &[(None, None), (None, Some(b"a")), (None, Some(b""))]);
        assert!(bare.is_of(&whole));
        let empty = sum(&fingerprints, &[(None, Some(b"")), (None, Some(b"a")), (None, Some(b""))]);
        assert!(!empty.is_of(&whole), "a tombstone is no empty value");
    }
}
