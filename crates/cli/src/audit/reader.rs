//! Reading the ledger, each document once: documents never change.

use std::collections::{BTreeMap, BTreeSet};

use s3_sink::bucket::Bucket;
use s3_sink::{Kind, forgotten, object_name};

use super::forgotten::Register;
use super::inventory::FOLDERS;
use super::ledger::{Document, TopicLedger};
use crate::objects::{self, documents};

/// Remembers what it has read, so that looking again reads only what is new.
pub(super) struct Reader {
    bucket: Bucket,
    topics: Vec<(Kind, String, BTreeMap<String, Document>)>,
}

impl Reader {
    pub(super) fn new(bucket: Bucket, topics: &[(Kind, String)]) -> Self {
        let topics = topics.iter().map(|(kind, topic)| (*kind, topic.clone(), BTreeMap::new())).collect();
        Self { bucket, topics }
    }

    /// The ledgers of all topics, as they are now.
    pub(super) async fn ledgers(&mut self) -> anyhow::Result<Vec<TopicLedger>> {
        let mut ledgers = Vec::new();
        for (kind, topic, known) in &mut self.topics {
            let listed = objects::list(&self.bucket, &object_name::topic_prefix(topic)).await?;
            let listed: BTreeSet<_> = listed.into_iter().map(|object| object.key).collect();
            known.retain(|key, _| listed.contains(key));
            let new: Vec<_> = listed.into_iter().filter(|key| !known.contains_key(key)).collect();
            let documents = documents(&self.bucket, topic, new).await?;
            known.extend(documents.map(|(key, json)| {
                let document = Document::parse(topic, &key, &json);
                (key, document)
            }));
            ledgers.push(TopicLedger::of(*kind, topic, known.values()));
        }
        Ok(ledgers)
    }

    /// What was forgotten on purpose.
    pub(super) async fn forgotten(&self) -> anyhow::Result<Register> {
        let listed = objects::list(&self.bucket, forgotten::prefix()).await?;
        let keys = listed.into_iter().map(|object| object.key).collect();
        Ok(Register::of(documents(&self.bucket, "what was forgotten", keys).await?))
    }

    /// All objects, except the ledger's: their keys and sizes in bytes.
    pub(super) async fn objects(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut found = BTreeMap::new();
        for folder in FOLDERS {
            let listed = objects::list(&self.bucket, folder).await?;
            found.extend(listed.into_iter().map(|object| (object.key, object.size)));
        }
        Ok(found)
    }
}
