//! Reading the ledger, each document once: documents never change.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use s3_sink::Kind;
use s3_sink::bucket::Bucket;
use s3_sink::object_name;

use super::inventory::FOLDERS;
use super::ledger::{Document, TopicLedger};
use crate::objects;
use crate::progress::Progress;

/// How many documents are read at a time.
const READS: usize = 32;

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
            let (count, mut progress) = (new.len() as u64, Progress::new(new.len() as u64));
            let mut documents = stream::iter(new)
                .map(|key| {
                    let bucket = &self.bucket;
                    async move { objects::get(bucket, &key).await.map(|json| (key, json)) }
                })
                .buffer_unordered(READS);
            let mut read = 0;
            while let Some((key, json)) = documents.try_next().await? {
                if let Some(json) = json {
                    let document = Document::parse(topic, &key, &json);
                    known.insert(key, document);
                }
                read += 1;
                progress.update(read, || format!("ledger of {topic}: {read} of {count} documents"));
            }
            ledgers.push(TopicLedger::of(*kind, topic, known.values()));
        }
        Ok(ledgers)
    }

    /// The keys of all objects, except the ledger's.
    pub(super) async fn keys(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        for folder in FOLDERS {
            keys.extend(objects::list(&self.bucket, folder).await?.into_iter().map(|object| object.key));
        }
        Ok(keys)
    }
}
