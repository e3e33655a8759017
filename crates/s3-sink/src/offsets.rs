//! Which offsets the records of an object have, where its name does not tell: in between are control records, records
//! of other days, and dead letters. With it the content checksum can be computed from the object alone, when the topic
//! no longer has the records.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Ascending runs `[start, end)`, written `1200-1641,1643-1850`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offsets(Vec<(i64, i64)>);

/// More runs than this are not written down: the ledger is for people too.
const MOST_RUNS: usize = 4096;

/// Text that is no list of runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no list of offsets: it is written 1200-1641,1643-1850, ascending, each end left out")]
pub struct InvalidOffsets(String);

impl Offsets {
    /// The run `[start, end)`.
    #[must_use]
    pub fn run(start: i64, end: i64) -> Self {
        Self(vec![(start, end)])
    }

    /// Adds an offset greater than all before.
    pub fn push(&mut self, offset: i64) {
        match self.0.last_mut() {
            Some((_, end)) if *end == offset => *end += 1,
            _ => self.0.push((offset, offset + 1)),
        }
    }

    /// Each offset.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(|(start, end)| *start..*end)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end.abs_diff(*start)).sum()
    }

    /// What the ledger says of an object of the range `[start, end)`: nothing where every offset has its record, and
    /// nothing where that would be too long.
    #[must_use]
    pub fn beside(self, start: i64, end: i64) -> Option<Self> {
        let told = self.0.as_slice() != [(start, end)] && self.0.len() <= MOST_RUNS;
        told.then_some(self)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (start, end)) in self.0.iter().enumerate() {
            write!(f, "{}{start}-{end}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Offsets {
    type Err = InvalidOffsets;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidOffsets(text.to_owned());
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for run in text.split(',') {
            let (start, end) = run.split_once('-').ok_or_else(invalid)?;
            let (start, end) = (start.parse().map_err(|_| invalid())?, end.parse().map_err(|_| invalid())?);
            if start < 0 || end <= start || runs.last().is_some_and(|(_, last)| start <= *last) {
                return Err(invalid());
            }
            runs.push((start, end));
        }
        Ok(Self(runs))
    }
}

impl Serialize for Offsets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Offsets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(offsets: impl IntoIterator<Item = i64>) -> Offsets {
        let mut all = Offsets::default();
        offsets.into_iter().for_each(|offset| all.push(offset));
        all
    }

    #[test]
    fn runs_are_written_and_read() {
        let offsets = of([7, 8, 9, 11, 20, 21]);
        assert_eq!(offsets.to_string(), "7-10,11-12,20-22");
        assert_eq!("7-10,11-12,20-22".parse(), Ok(offsets.clone()));
        assert_eq!((offsets.count(), offsets.iter().collect::<Vec<_>>()), (6, vec![7, 8, 9, 11, 20, 21]));
        for bad in ["", "7", "7-7", "7-10,10-12", "7-10,8-12", "-1-2", "7-10,", "a-b"] {
            assert!(bad.parse::<Offsets>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_range_says_already_is_not_said_again() {
        assert_eq!(of(7..10).beside(7, 10), None);
        assert_eq!(of(8..10).beside(7, 10), Some(of(8..10)));
        let every_other = || of((0..2 * MOST_RUNS as i64).step_by(2));
        assert!(every_other().beside(0, 9999).is_some());
        let mut more = every_other();
        more.push(99_999);
        assert_eq!(more.beside(0, 100_000), None);
    }
}
