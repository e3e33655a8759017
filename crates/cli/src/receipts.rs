//! The receipt file of a load: what was sent, and how it was answered. The audit holds it against `raw/`.
//!
//! Text, a line an answer, written before the connection sends its next request:
//! ```text
#![doc = include_str!("../fixtures/receipts.txt")]
//! ```
//! The head names the load's id space: its events have the user ids `[first, first + ids)`, each its own, and nobody
//! else uses those. ` copies` after it says that requests had an `Idempotency-Key`, by which a proxy may have sent them
//! more than once. Then `accepted`, `unknown` or `refused`, the first user id of the request, and how many follow it
//! one by one. The last line tells how many ids were used. Without it the load was killed, and every id that no line
//! names may have been on its way.

use std::fmt;
use std::io::{self, BufRead};
use std::str::FromStr;

/// The user ids of one load, `[first, first + ids)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdSpace {
    pub(crate) first: u64,
    pub(crate) ids: u64,
}

/// What an answer says about the events of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// 202: every one is stored.
    Accepted,
    /// A 503, or no answer: each may be stored.
    Unknown,
    /// None is stored: it was refused as a whole, or never sent.
    Refused,
}

/// The answer to the events `[first, first + count)`, as user ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) answer: Answer,
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// A whole receipt file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipts {
    pub(crate) space: IdSpace,
    /// Whether an event may be in `raw/` more than once.
    pub(crate) copies: bool,
    /// In the order of user ids.
    pub(crate) receipts: Vec<Receipt>,
    /// How many ids the load used; `None` if it was killed.
    pub(crate) used: Option<u64>,
}

/// Why a receipt file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("line {number} is no receipt: {line:?}")]
    Line { number: usize, line: String },
    #[error("user id {0} has two receipts")]
    Twice(u64),
}

impl IdSpace {
    /// Room for 68 billion events, and below 2^63, which every reader's integers hold.
    const BITS: u32 = 36;
    const SPACES: u64 = 1 << (63 - Self::BITS);

    /// The id space of a seed. Two seeds share one with a chance of one in 134 million.
    pub(crate) const fn of(seed: u64) -> Self {
        // Multiplicative hashing by the golden ratio: neighbouring seeds land far apart.
        let space = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> Self::BITS;
        Self { first: (space % Self::SPACES) << Self::BITS, ids: 1 << Self::BITS }
    }

    /// Where in the space `user_id` lies; `None` if it belongs to somebody else.
    pub(crate) fn index(self, user_id: u64) -> Option<u64> {
        user_id.checked_sub(self.first).filter(|index| *index < self.ids)
    }

    /// The first line of the file.
    pub(crate) fn head(self, copies: bool) -> String {
        format!("{HEAD}first={} ids={}{}\n", self.first, self.ids, if copies { COPIES } else { "" })
    }

    fn parse(line: &str) -> Option<Self> {
        let (first, ids) = line.strip_prefix(HEAD)?.strip_prefix("first=")?.split_once(" ids=")?;
        let space = Self { first: first.parse().ok()?, ids: ids.parse().ok()? };
        space.first.checked_add(space.ids).map(|_| space)
    }
}

const HEAD: &str = "pageviews-receipts v1 ";
const COPIES: &str = " copies";

/// The last line of the file of a load that used `ids`.
pub(crate) fn end(ids: u64) -> String {
    format!("end {ids}\n")
}

impl Answer {
    const ALL: [Self; 3] = [Self::Accepted, Self::Unknown, Self::Refused];

    const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }
}

/// A line, with its end.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.answer.name(), self.first, self.count)
    }
}

impl FromStr for Receipt {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let mut words = line.split(' ');
        let name = words.next().ok_or(())?;
        let answer = Answer::ALL.into_iter().find(|answer| answer.name() == name).ok_or(())?;
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or(());
        let receipt = Self { answer, first: number()?, count: number()? };
        if words.next().is_none() { Ok(receipt) } else { Err(()) }
    }
}

impl Receipts {
    /// Reads a file. A last line that is not whole was being written when the load was killed: it is left out.
    pub(crate) fn read(mut file: impl BufRead) -> Result<Self, Error> {
        let mut line = String::new();
        file.read_line(&mut line)?;
        let bad = |number, line: &str| Error::Line { number, line: line.trim_end().to_owned() };
        let head = line.trim_end();
        let (head, copies) = head.strip_suffix(COPIES).map_or((head, false), |head| (head, true));
        let space = IdSpace::parse(head).ok_or_else(|| bad(1, &line))?;
        let (mut receipts, mut used) = (Vec::new(), None);
        for number in 2.. {
            line.clear();
            file.read_line(&mut line)?;
            let Some(text) = line.strip_suffix('\n').filter(|_| used.is_none()) else { break };
            match text.strip_prefix("end ") {
                Some(ids) => used = Some(ids.parse().map_err(|_| bad(number, text))?),
                None => receipts.push(Self::within(space, text).ok_or_else(|| bad(number, text))?),
            }
        }
        if used.is_some() && !line.is_empty() {
            return Err(bad(receipts.len() + 3, &line));
        }
        receipts.sort_unstable_by_key(|receipt| receipt.first);
        match receipts.windows(2).find(|pair| pair[0].first + pair[0].count > pair[1].first) {
            Some(pair) => Err(Error::Twice(pair[1].first)),
            None => Ok(Self { space, copies, receipts, used }),
        }
    }

    fn within(space: IdSpace, line: &str) -> Option<Receipt> {
        let receipt: Receipt = line.parse().ok()?;
        let last = receipt.first.checked_add(receipt.count.checked_sub(1)?)?;
        (space.index(receipt.first).is_some() && space.index(last).is_some()).then_some(receipt)
    }

    /// How many events were answered so.
    pub(crate) fn count(&self, answer: Answer) -> u64 {
        self.receipts.iter().filter(|receipt| receipt.answer == answer).map(|receipt| receipt.count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = include_str!("../fixtures/receipts.txt");

    fn read(text: &str) -> Result<Receipts, Error> {
        Receipts::read(text.as_bytes())
    }

    #[test]
    fn the_fixture_is_written_and_read() {
        let space = IdSpace::of(42);
        let receipt = |answer, from, count| Receipt { answer, first: space.first + from, count };
        let answers = [
            receipt(Answer::Accepted, 0, 1000),
            receipt(Answer::Unknown, 2000, 1000),
            receipt(Answer::Accepted, 1000, 1000),
            receipt(Answer::Refused, 3000, 1000),
        ];
        let lines: String = answers.iter().map(Receipt::to_string).collect();
        assert_eq!(space.head(false) + &lines + &end(4000), FIXTURE);

        let file = read(FIXTURE).unwrap();
        assert_eq!((file.space, file.used), (space, Some(4000)));
        assert_eq!(
            file.receipts.iter().map(|receipt| receipt.first - space.first).collect::<Vec<_>>(),
            [0, 1000, 2000, 3000]
        );
        assert_eq!((file.count(Answer::Accepted), file.copies), (2000, false));
        assert!(read(&(space.head(true) + &lines)).unwrap().copies);
    }

    #[test]
    fn a_load_that_was_killed_has_no_end_and_perhaps_half_a_line() {
        let text = FIXTURE.strip_suffix("end 4000\n").unwrap();
        let whole = read(text).unwrap();
        assert_eq!((whole.receipts.len(), whole.used), (4, None));
        let torn = read(&text[..text.len() - 2]).unwrap();
        assert_eq!((torn.receipts.len(), torn.used), (3, None));
    }

    #[test]
    fn what_is_no_receipt_is_named_with_its_line() {
        let first = IdSpace::of(42).first;
        let with = |line: &str| IdSpace::of(42).head(false) + line;
        for (text, number) in [
            ("accepted 1 1\n".to_owned(), 1),
            (String::new(), 1),
            (with("accepted 1 1\n"), 2),
            (with(&format!("accepted {first} 0\n")), 2),
            (with(&format!("accepted {first} 1 1\n")), 2),
            (with(&format!("lost {first} 1\n")), 2),
            (with(&format!("end 0\naccepted {first} 1\n")), 3),
        ] {
            let error = read(&text).unwrap_err();
            assert!(matches!(error, Error::Line { number: found, .. } if found == number), "{text}: {error}");
        }
        let twice = with(&format!("accepted {first} 2\nunknown {} 2\n", first + 1));
        assert!(matches!(read(&twice).unwrap_err(), Error::Twice(id) if id == first + 1));
    }

    #[test]
    fn id_spaces_fit_into_signed_integers_and_do_not_touch() {
        let mut firsts: Vec<_> = (0..1000).map(|seed| IdSpace::of(seed).first).collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 1000);
        assert!(firsts.iter().all(|first| first + (1 << 36) <= 1 << 63 && first % (1 << 36) == 0));
    }
}
