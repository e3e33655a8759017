//! What a load was told, held against what lies in `raw/`.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::HumanCount;
use model::Pageview;

use super::check::{Check, Status};
use crate::receipts::{Answer, IdSpace, Receipts};

/// Room for requests that were on their way when a load was killed.
const IN_FLIGHT: u64 = 1 << 26;
/// How many user ids are named as examples.
const EXAMPLES: usize = 3;

/// Which events of a load were seen in `raw/`: two bits each. Many threads mark at a time.
#[derive(Debug)]
pub(super) struct Marks {
    space: IdSpace,
    once: Bits,
    again: Bits,
    /// Events of the id space that the load cannot have sent.
    beyond: AtomicU64,
}

#[derive(Debug)]
struct Bits(Vec<AtomicU64>);

impl Bits {
    fn new(length: u64) -> Self {
        Self((0..length.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets a bit and tells whether it was set already; `None` if there is no such bit.
    fn set(&self, index: u64) -> Option<bool> {
        let (word, bit) = (self.0.get(usize::try_from(index / 64).ok()?)?, 1 << (index % 64));
        Some(word.fetch_or(bit, Ordering::Relaxed) & bit != 0)
    }

    fn get(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (index % 64)) != 0)
    }
}

impl Marks {
    pub(super) fn new(receipts: &Receipts) -> Self {
        let listed =
            receipts.receipts.last().map_or(0, |last| last.first + last.count - receipts.space.first);
        let length = receipts.used.unwrap_or(listed + IN_FLIGHT).max(listed).min(receipts.space.ids);
        let beyond = AtomicU64::new(0);
        Self { space: receipts.space, once: Bits::new(length), again: Bits::new(length), beyond }
    }

    /// An event of this user is in `raw/`.
    pub(super) fn mark(&self, user_id: u64) {
        let Some(index) = self.space.index(user_id) else { return };
        match self.once.set(index) {
            Some(false) => {}
            Some(true) => {
                self.again.set(index);
            }
            None => {
                self.beyond.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The user of an event as it lies in `raw/`; `None` for what is no pageview.
pub(super) fn user_id(line: &[u8]) -> Option<u64> {
    // As the load generator writes it; parsing every event would take ten times as long.
    if let Some(rest) = line.strip_prefix(br#"{"user_id":"#) {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let number = digits
            .clone()
            .try_fold(0_u64, |number, digit| number.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
        if digits.count() > 0 {
            return number;
        }
    }
    Pageview::parse(line).ok().map(|pageview| pageview.user_id)
}

/// How often the events of one answer are in `raw/`, with examples.
#[derive(Debug, Default)]
struct Seen {
    never: Found,
    once: Found,
    again: Found,
}

#[derive(Debug, Default)]
struct Found {
    count: u64,
    examples: Vec<u64>,
}

impl Found {
    fn add(&mut self, user_id: u64) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(user_id);
        }
    }

    /// Adds a finding to `check`, if anything was found.
    fn tell(&self, check: &mut Check, status: Status, words: &str) {
        let mut examples: Vec<_> = self.examples.iter().map(u64::to_string).collect();
        if self.count > examples.len() as u64 && !examples.is_empty() {
            examples.push("…".to_owned());
        }
        let examples =
            if examples.is_empty() { String::new() } else { format!(" (user_id {})", examples.join(", ")) };
        if self.count > 0 {
            check.find(status, format!("{words}: {}{examples}", HumanCount(self.count)));
        }
    }

    fn and(&self, other: &Self) -> u64 {
        self.count + other.count
    }
}

impl Seen {
    fn look(&mut self, marks: &Marks, from: u64, to: u64) {
        for index in from..to {
            let found = match (marks.once.get(index), marks.again.get(index)) {
                (false, _) => &mut self.never,
                (true, false) => &mut self.once,
                (true, true) => &mut self.again,
            };
            found.add(marks.space.first + index);
        }
    }
}

/// Whether what was accepted is in `raw/` once, what is unknown at most once, and nothing else. What is missing is no
/// violation before the pipeline is quiet.
pub(super) fn check(name: &str, receipts: &Receipts, marks: &Marks, quiet: bool) -> Check {
    let [mut accepted, mut unknown, mut refused, mut unlisted] = [(); 4].map(|()| Seen::default());
    let mut next = 0;
    for receipt in &receipts.receipts {
        let (from, to) =
            (receipt.first - receipts.space.first, receipt.first - receipts.space.first + receipt.count);
        unlisted.look(marks, next, from);
        next = to;
        match receipt.answer {
            Answer::Accepted => accepted.look(marks, from, to),
            Answer::Unknown => unknown.look(marks, from, to),
            Answer::Refused => refused.look(marks, from, to),
        }
    }
    unlisted.look(marks, next, marks.once.0.len() as u64 * 64);

    let mut check = Check::new(format!("receipts of {name}"));
    let missing = if quiet { Status::Violated } else { Status::NotProvable };
    accepted.never.tell(&mut check, missing, "accepted, and not in raw/");
    let mut copied = [0; 3];
    if receipts.copies {
        // Whether they were counted once is not seen in raw/.
        for (seen, copied) in [&mut accepted, &mut unknown, &mut unlisted].into_iter().zip(&mut copied) {
            *copied = std::mem::take(&mut seen.again).count;
            seen.once.count += *copied;
        }
    }
    accepted.again.tell(&mut check, Status::Violated, "accepted once, and more than once in raw/");
    unknown.again.tell(&mut check, Status::Violated, "sent once, and more than once in raw/");
    let stored = Found { count: refused.once.and(&refused.again), ..refused.once };
    stored.tell(&mut check, Status::Violated, "refused or never sent, and in raw/");
    if receipts.used.is_some() {
        let stored = Found { count: unlisted.once.and(&unlisted.again), ..unlisted.once };
        stored.tell(&mut check, Status::Violated, "in raw/ without a receipt");
    } else {
        unlisted.again.tell(&mut check, Status::Violated, "sent once, and more than once in raw/");
        unknown.once.count += unlisted.once.count;
    }
    let beyond = Found { count: marks.beyond.load(Ordering::Relaxed), examples: Vec::new() };
    beyond.tell(&mut check, Status::Violated, "in raw/ and never sent");

    if accepted.once.count == 0 && accepted.again.count > 0 {
        check.find(
            Status::Violated,
            "nothing is there once: another load with the same --seed looks like this",
        );
    }

    let (told, untold) = (receipts.count(Answer::Accepted), receipts.count(Answer::Unknown));
    let [told_, once, stored, untold_] =
        [told, accepted.once.count, unknown.once.count, untold].map(HumanCount);
    let rest = match receipts.used {
        Some(_) => format!("{stored} of {untold_} unknown are in raw/"),
        None => format!("the load was killed, and {stored} without an answer are in raw/"),
    };
    let times = match copied[0] {
        0 => "once".to_owned(),
        copies => format!("({} more than once, by their Idempotency-Key)", HumanCount(copies)),
    };
    check.compared = format!("{told_} accepted, {once} in raw/ {times}; {rest}");
    check.numbers.extend([
        ("accepted", told),
        ("accepted_stored_once", accepted.once.count - copied[0]),
        ("copied", copied.iter().sum()),
        ("unknown", untold),
        ("unknown_stored", unknown.once.count),
        ("refused", receipts.count(Answer::Refused)),
    ]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipts::Receipt;

    const SPACE: IdSpace = IdSpace { first: 1000, ids: 1 << 36 };

    /// Accepted 1000 to 1009, unknown 1010 to 1019, refused 1020 to 1029; 1030 to 1039 were handed out, but not sent.
    fn receipts(used: Option<u64>) -> Receipts {
        let receipt = |answer, first| Receipt { answer, first, count: 10 };
        let receipts = vec![
            receipt(Answer::Accepted, 1000),
            receipt(Answer::Unknown, 1010),
            receipt(Answer::Refused, 1020),
        ];
        Receipts { space: SPACE, copies: false, receipts, used }
    }

    fn judge(used: Option<u64>, users: impl IntoIterator<Item = u64>, quiet: bool) -> Check {
        let receipts = receipts(used);
        let marks = Marks::new(&receipts);
        users.into_iter().for_each(|user| marks.mark(user));
        check("r", &receipts, &marks, quiet)
    }

    #[test]
    fn accepted_once_and_unknown_at_most_once_is_ok() {
        let check = judge(Some(40), (1000..1015).chain([5, 1_u64 << 40]), true);
        assert_eq!((check.status, check.findings.len()), (Status::Ok, 0));
        assert_eq!((check.numbers["accepted_stored_once"], check.numbers["unknown_stored"]), (10, 5));
        assert_eq!(check.compared, "10 accepted, 10 in raw/ once; 5 of 10 unknown are in raw/");
    }

    #[test]
    fn an_accepted_event_that_is_missing_is_a_violation_once_all_is_quiet() {
        let check = judge(Some(40), 1001..1010, true);
        assert_eq!(check.status, Status::Violated);
        assert_eq!(check.findings, ["accepted, and not in raw/: 1 (user_id 1000)"]);
        assert_eq!(judge(Some(40), 1001..1010, false).status, Status::NotProvable);
    }

    #[test]
    fn every_other_violation_is_named() {
        for (more, words) in [
            (1003, "accepted once, and more than once in raw/: 1 (user_id 1003)"),
            (1025, "refused or never sent, and in raw/: 1 (user_id 1025)"),
            (1035, "in raw/ without a receipt: 1 (user_id 1035)"),
            (9_000_000, "in raw/ and never sent: 1"),
        ] {
            let check = judge(Some(40), (1000..1010).chain([more]), false);
            assert_eq!((check.status, check.findings), (Status::Violated, vec![words.to_owned()]));
        }
        let twice = judge(Some(40), (1000..1010).chain([1015, 1015]), true);
        assert_eq!(twice.findings, ["sent once, and more than once in raw/: 1 (user_id 1015)"]);
    }

    #[test]
    fn what_was_sent_with_a_key_may_be_there_more_than_once_and_must_be_there() {
        let receipts = Receipts { copies: true, ..receipts(Some(40)) };
        let judge = |users: &[u64]| {
            let marks = Marks::new(&receipts);
            (1001..1010).chain(users.iter().copied()).for_each(|user| marks.mark(user));
            check("r", &receipts, &marks, true)
        };
        let copied = judge(&[1000, 1000, 1015, 1015]);
        assert_eq!(
            (copied.status, copied.numbers["accepted_stored_once"], copied.numbers["copied"]),
            (Status::Ok, 9, 2)
        );
        assert!(copied.compared.contains("(1 more than once"), "{}", copied.compared);
        assert_eq!(judge(&[]).status, Status::Violated);
        assert_eq!(judge(&[1000, 1025]).status, Status::Violated);
    }

    #[test]
    fn a_load_that_was_killed_may_have_sent_what_it_has_no_receipt_for() {
        assert_eq!(judge(None, (1000..1010).chain([1035]), true).status, Status::Ok);
        assert_eq!(judge(None, (1000..1010).chain([1035, 1035]), true).status, Status::Violated);
        assert_eq!(judge(None, (1000..1010).chain([1025]), true).status, Status::Violated);
    }

    #[test]
    fn users_are_found_however_the_event_is_written() {
        for (line, user) in [
            (r#"{"user_id":42,"postcode":"SW19","webpage":"x","timestamp":1}"#, Some(42)),
            (r#"{"postcode":"SW19", "user_id": 42,"webpage":"x","timestamp":1}"#, Some(42)),
            (r#"{"user_id":99999999999999999999,"postcode":"SW19"}"#, None),
            (r#"{"user_id":"42"}"#, None),
            ("not json", None),
        ] {
            assert_eq!(user_id(line.as_bytes()), user, "{line}");
        }
    }
}
