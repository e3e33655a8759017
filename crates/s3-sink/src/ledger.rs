//! What the ledger says: the documents below `ledger/`, each written once and never changed.
//!
//! An entry, `ledger/{topic}/p{partition:05}/{start:020}.json`, fixes the range `[start, end)` of a partition:
//! ```json
#![doc = include_str!("../fixtures/entry.json")]
//! ```
//! A range whose records were lost before they were written, so that the entries still tile the partition:
//! ```json
#![doc = include_str!("../fixtures/entry-lost.json")]
//! ```
//! The genesis, `ledger/{topic}/p{partition:05}/genesis.json`, fixes where the first range starts:
//! ```json
#![doc = include_str!("../fixtures/genesis.json")]
//! ```
//! The origin, `ledger/{topic}/origin.json`, says which topic of which cluster this is the ledger of:
//! ```json
#![doc = include_str!("../fixtures/origin.json")]
//! ```
//! Times are in milliseconds since the epoch, as in Kafka's records. A reader ignores fields it does not know; a
//! change of meaning raises `version`, and a version it does not know stops it.

use model::EpochMillis;
use serde::{Deserialize, Serialize};

use crate::checksum::Checksum;
use crate::object_name::LedgerKeys;
use crate::offsets::Offsets;

/// The version of every document here.
pub(crate) const VERSION: u32 = 1;

/// Why a document of the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no such JSON.
    #[error("{key} cannot be read: {source}")]
    Malformed {
        /// The document.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A later release wrote it.
    #[error("{key} has version {version}, and this release reads version {VERSION}: upgrade it")]
    UnknownVersion {
        /// The document.
        key: String,
        /// Its version.
        version: u32,
    },
    /// It contradicts its own name or itself.
    #[error("{key} is not what its name says: {detail}")]
    Contradiction {
        /// The document.
        key: String,
        /// In what.
        detail: String,
    },
}

/// The range `[start, end)` of one partition: it consists of exactly these objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// The offset after the last record; the next range starts here.
    pub end: i64,
    /// What became of its records.
    pub content: Content,
}

/// What became of a range's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// They are in the objects listed.
    Written(Written),
    /// The log had dropped them before they were written.
    Lost,
}

/// How a range was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The rules that put its records into objects: whoever writes the range again does it by these.
    pub recipe: Recipe,
    /// How many records, in all its objects.
    pub records: u64,
    /// The timestamp of its first record.
    pub first_timestamp: EpochMillis,
    /// The timestamp of its last record.
    pub last_timestamp: EpochMillis,
    /// Its objects, in the order of their keys.
    pub objects: Vec<Object>,
}

/// What a record's object depends on, besides the record: kept as written, known or not, so that an audit can walk past
/// what only a later release could write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// The format of the writer's own objects; dead letters are always `ndjson.gz`.
    pub format: String,
    /// The version of the keys' layout.
    pub layout: u32,
    /// The version of the rules that tell a good record from a dead letter.
    pub rules: u32,
}

/// One object of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// How many records it holds.
    pub records: u64,
    /// The checksum of their content.
    pub checksum: Checksum,
    /// The sum of their `pageview_count`, where they are counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pageview_count: Option<u64>,
    /// The offsets of its records, where [`Object::offsets_in`] could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Offsets>,
}

impl Object {
    /// The offsets of its records, as an object of the range `[start, end)`. `None` if the ledger does not say: it was
    /// written by a release that did not yet, or there were too many gaps.
    #[must_use]
    pub fn offsets_in(&self, start: i64, end: i64) -> Option<Offsets> {
        let whole = self.records == end.abs_diff(start);
        self.offsets.clone().or_else(|| whole.then(|| Offsets::run(start, end)))
    }
}

/// Where the first range of a partition starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset that the sink takes charge of.
    pub start: i64,
}

/// Which topic of which cluster a ledger speaks of: a topic that was deleted and created again has another id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The cluster's id.
    pub cluster_id: String,
    /// The topic's id.
    pub topic_id: String,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct EntryDocument {
    version: u32,
    topic: String,
    partition: i32,
    start: i64,
    end: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
    #[serde(flatten)]
    written: Option<WrittenDocument>,
}

#[derive(Serialize, Deserialize)]
struct WrittenDocument {
    #[serde(flatten)]
    recipe: Recipe,
    records: u64,
    first_timestamp: i64,
    last_timestamp: i64,
    objects: Vec<Object>,
}

#[derive(Serialize, Deserialize)]
struct GenesisDocument {
    version: u32,
    topic: String,
    partition: i32,
    start: i64,
}

#[derive(Serialize, Deserialize)]
struct OriginDocument {
    version: u32,
    topic: String,
    cluster_id: String,
    topic_id: String,
}

impl Entry {
    /// The key it is written under.
    #[must_use]
    pub fn key(&self) -> String {
        self.keys().entry(self.start)
    }

    /// Its objects; none when it was lost.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        match &self.content {
            Content::Written(written) => &written.objects,
            Content::Lost => &[],
        }
    }

    /// Whether it lists the same records in the same objects. Where either does not list offsets, that is no difference:
    /// earlier releases did not, and the checksums cover them.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        let bare = |entry: &Self| {
            let mut entry = entry.clone();
            if let Content::Written(written) = &mut entry.content {
                written.objects.iter_mut().for_each(|object| object.offsets = None);
            }
            entry
        };
        bare(self) == bare(other)
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let written = match &self.content {
            Content::Lost => None,
            Content::Written(written) => Some(WrittenDocument {
                recipe: written.recipe.clone(),
                records: written.records,
                first_timestamp: written.first_timestamp.0,
                last_timestamp: written.last_timestamp.0,
                objects: written.objects.clone(),
            }),
        };
        document(&EntryDocument {
            version: VERSION,
            topic: self.topic.clone(),
            partition: self.partition,
            start: self.start,
            end: self.end,
            lost: written.is_none(),
            written,
        })
    }

    /// Reads the document that lies under `key`.
    ///
    /// # Errors
    /// [`Error`] when it is no entry, of a later version, or not the entry that `key` names.
    pub fn parse(key: &str, json: &[u8]) -> Result<Self, Error> {
        let EntryDocument { topic, partition, start, end, lost, written, .. } = read(key, json)?;
        let contradiction =
            |detail: &str| Error::Contradiction { key: key.to_owned(), detail: detail.to_owned() };
        let content = match (lost, written) {
            (true, _) => Content::Lost,
            (false, None) => return Err(contradiction("it lists no objects and is not lost")),
            (false, Some(WrittenDocument { recipe, records, first_timestamp, last_timestamp, objects })) => {
                if objects.iter().map(|object| object.records).sum::<u64>() != records {
                    return Err(contradiction("its objects do not hold its records"));
                }
                let (first_timestamp, last_timestamp) =
                    (EpochMillis(first_timestamp), EpochMillis(last_timestamp));
                Content::Written(Written { recipe, records, first_timestamp, last_timestamp, objects })
            }
        };
        let entry = Self { topic, partition, start, end, content };
        if entry.key() != key {
            return Err(contradiction(&format!("it would lie under {}", entry.key())));
        }
        if end <= start {
            return Err(contradiction(&format!("its range [{start}, {end}) is empty")));
        }
        Ok(entry)
    }

    fn keys(&self) -> LedgerKeys {
        LedgerKeys { topic: self.topic.clone(), partition: self.partition }
    }
}

impl Genesis {
    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let Self { topic, partition, start } = self.clone();
        document(&GenesisDocument { version: VERSION, topic, partition, start })
    }

    /// Reads the document that lies under `key`.
    ///
    /// # Errors
    /// [`Error`] when it is no genesis, or of a later version.
    pub fn parse(key: &str, json: &[u8]) -> Result<Self, Error> {
        let GenesisDocument { topic, partition, start, .. } = read(key, json)?;
        Ok(Self { topic, partition, start })
    }
}

impl Origin {
    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let Self { topic, cluster_id, topic_id } = self.clone();
        document(&OriginDocument { version: VERSION, topic, cluster_id, topic_id })
    }

    /// Reads the document that lies under `key`.
    ///
    /// # Errors
    /// [`Error`] when it is no origin, or of a later version.
    pub fn parse(key: &str, json: &[u8]) -> Result<Self, Error> {
        let OriginDocument { topic, cluster_id, topic_id, .. } = read(key, json)?;
        Ok(Self { topic, cluster_id, topic_id })
    }
}

/// The version first: a document of a later one need not have the fields of this one.
pub(crate) fn read<'a, T: Deserialize<'a>>(key: &str, json: &'a [u8]) -> Result<T, Error> {
    let malformed = |source| Error::Malformed { key: key.to_owned(), source };
    match serde_json::from_slice(json).map_err(malformed)? {
        Versioned { version: VERSION } => serde_json::from_slice(json).map_err(malformed),
        Versioned { version } => Err(Error::UnknownVersion { key: key.to_owned(), version }),
    }
}

/// Indented and with a last newline: people read these with `aws s3 cp … -`.
pub(crate) fn document<T: Serialize>(value: &T) -> Vec<u8> {
    // Plain structs of strings and numbers: serialization into memory has no way to fail.
    let mut json = serde_json::to_vec_pretty(value).unwrap_or_default();
    json.push(b'\n');
    json
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
