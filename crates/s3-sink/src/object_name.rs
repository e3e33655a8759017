//! The names of objects: where in the bucket a range's records lie, and where its ledger does.

use std::fmt;
use std::str::FromStr;

use model::EpochMillis;
use time::Date;

/// The file name of an object, cut from the offsets `[start, end)` of one partition:
/// `pageviews-p00003-o00000000000000001200-00000000000000001850.ndjson.gz`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The topic it was read from.
    pub topic: String,
    /// The partition there.
    pub partition: i32,
    /// The first offset of the range.
    pub start: i64,
    /// The offset after its last record.
    pub end: i64,
    /// What the file is, without the leading dot: `ndjson.gz`.
    pub extension: String,
}

/// Text that is no object's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no object of a sink: those are named {{topic}}-p{{partition}}-o{{start}}-{{end}}.{{extension}}"
)]
pub struct InvalidName(String);

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, start, end, extension } = self;
        write!(f, "{topic}-p{partition:05}-o{start:020}-{end:020}.{extension}")
    }
}

impl FromStr for ObjectName {
    type Err = InvalidName;

    /// Reads a name, or a whole key that ends with one.
    fn from_str(key: &str) -> Result<Self, Self::Err> {
        parse(key.rsplit('/').next().unwrap_or(key)).ok_or_else(|| InvalidName(key.to_owned()))
    }
}

fn parse(name: &str) -> Option<ObjectName> {
    // From the right: a topic may itself hold "-p" and "-o", and an extension has no hyphen.
    let (rest, tail) = name.rsplit_once('-')?;
    let (end, extension) = tail.split_once('.')?;
    let (rest, start) = rest.rsplit_once("-o")?;
    let (topic, partition) = rest.rsplit_once("-p")?;
    Some(ObjectName {
        topic: topic.to_owned(),
        partition: digits(partition, 5)?,
        start: digits(start, 20)?,
        end: digits(end, 20)?,
        extension: extension.to_owned(),
    })
}

fn digits<T: FromStr>(text: &str, width: usize) -> Option<T> {
    (text.len() >= width && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The folder of a day, `dt=2026-11-24`.
#[must_use]
pub fn day(date: Date) -> String {
    format!("dt={:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// The folder of an hour of ingestion, `dt=2026-11-24/hour=13`, in UTC.
#[must_use]
pub fn hour(time: EpochMillis) -> String {
    let utc = time.to_utc();
    format!("{}/hour={:02}", day(utc.date()), utc.hour())
}

/// What a topic's partition is called in the ledger, with every key of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerKeys {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl LedgerKeys {
    /// The prefix of every key of the partition: `ledger/pageviews/p00003/`.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}p{:05}/", topic_prefix(&self.topic), self.partition)
    }

    /// The key of the entry for the range that begins at `start`.
    #[must_use]
    pub fn entry(&self, start: i64) -> String {
        format!("{}{start:020}.json", self.prefix())
    }

    /// The key of the partition's first start.
    #[must_use]
    pub fn genesis(&self) -> String {
        format!("{}genesis.json", self.prefix())
    }

    /// The start that an entry's key names; `None` for the genesis and whatever else lies there.
    #[must_use]
    pub fn start_of(&self, key: &str) -> Option<i64> {
        digits(key.strip_prefix(&self.prefix())?.strip_suffix(".json")?, 20)
    }

    /// The partition that a key below [`topic_prefix`] belongs to; `None` for the origin.
    #[must_use]
    pub fn of_key(topic: &str, key: &str) -> Option<Self> {
        let (partition, _) = key.strip_prefix(&topic_prefix(topic))?.strip_prefix('p')?.split_once('/')?;
        Some(Self { topic: topic.to_owned(), partition: digits(partition, 5)? })
    }
}

/// The prefix of everything the ledger knows of a topic: `ledger/pageviews/`.
#[must_use]
pub fn topic_prefix(topic: &str) -> String {
    format!("ledger/{topic}/")
}

/// The key of a topic's origin: `ledger/pageviews/origin.json`.
#[must_use]
pub fn origin(topic: &str) -> String {
    format!("{}origin.json", topic_prefix(topic))
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    fn name(topic: &str) -> ObjectName {
        let extension = "ndjson.gz".to_owned();
        ObjectName { topic: topic.to_owned(), partition: 3, start: 1200, end: 1850, extension }
    }

    #[test]
    fn names_are_final() {
        assert_eq!(
            name("pageviews").to_string(),
            "pageviews-p00003-o00000000000000001200-00000000000000001850.ndjson.gz"
        );
        let ledger = LedgerKeys { topic: "pageviews".to_owned(), partition: 3 };
        assert_eq!(ledger.entry(1200), "ledger/pageviews/p00003/00000000000000001200.json");
        assert_eq!(ledger.genesis(), "ledger/pageviews/p00003/genesis.json");
        assert_eq!(origin("pageviews"), "ledger/pageviews/origin.json");
        assert_eq!(day(date!(2021 - 01 - 26)), "dt=2021-01-26");
        assert_eq!(hour(EpochMillis(1_611_662_684_999)), "dt=2021-01-26/hour=12");
    }

    #[test]
    fn a_name_is_read_back_whatever_the_topic_is_called() {
        for topic in ["pageviews", "late-pageview-aggregates", "a-p1-o2", "a.b_c"] {
            let key = format!("raw/dt=2026-11-24/hour=13/{}", name(topic));
            assert_eq!(key.parse::<ObjectName>(), Ok(name(topic)));
        }
        for bad in
            ["", "raw/readme.txt", "x-p1-o00000000000000000001-00000000000000000002.gz", "x-p00001-o1-2.gz"]
        {
            assert!(bad.parse::<ObjectName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ledger_keys_are_read_back_and_sort_by_offset_before_the_genesis() {
        let ledger = LedgerKeys { topic: "a-p00001".to_owned(), partition: 12 };
        assert_eq!(ledger.start_of(&ledger.entry(77)), Some(77));
        assert_eq!(ledger.start_of(&ledger.genesis()), None);
        assert_eq!(LedgerKeys::of_key("a-p00001", &ledger.entry(77)), Some(ledger.clone()));
        assert_eq!(LedgerKeys::of_key("a-p00001", &origin("a-p00001")), None);
        assert!(ledger.entry(9) < ledger.entry(10) && ledger.entry(i64::MAX) < ledger.genesis());
    }
}
