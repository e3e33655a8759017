//! How far earlier runs came, written down in the bucket: Kafka forgets the offsets of a group without members after
//! `offsets.retention.minutes`, and dead letters are kept for longer.
//!
//! A mark is `ledger/redriven/{group}/{topic}-p{partition:05}/{next:020}.json`, written after the transaction whose offset
//! it repeats. A run that was killed in between is known by Kafka's offset, which is fresh then.

use bytes::Bytes;
use s3_sink::bucket::Bucket;
use s3_sink::store::NewObject;
use serde_json::json;

use crate::objects::{self, persistently};

/// Whose progress it is, in which partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) group: &'a str,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

impl Place<'_> {
    fn prefix(&self) -> String {
        let Self { group, topic, partition } = self;
        format!("ledger/redriven/{group}/{topic}-p{partition:05}/")
    }

    /// The next offset that the last mark says; zero if there is none.
    ///
    /// # Errors
    /// When S3 does not answer.
    pub(super) async fn reached(&self, bucket: &Bucket) -> anyhow::Result<i64> {
        let prefix = self.prefix();
        let marks = objects::list(bucket, &prefix).await?;
        Ok(marks.iter().filter_map(|mark| next(&prefix, &mark.key)).max().unwrap_or(0))
    }

    /// Says that everything before `next` was sent.
    ///
    /// # Errors
    /// When S3 does not take it.
    pub(super) async fn mark(&self, bucket: &Bucket, next: i64) -> anyhow::Result<()> {
        let Self { group, topic, partition } = self;
        let says =
            json!({"version": 1, "group": group, "topic": topic, "partition": partition, "next": next});
        let new = NewObject {
            key: format!("{}{next:020}.json", self.prefix()),
            body: Bytes::from(format!("{says:#}\n")),
            content_type: "application/json",
            metadata: Vec::new(),
        };
        // Whoever has written it before says the same.
        persistently(async || bucket.create(&new, 0).await).await?;
        Ok(())
    }
}

fn next(prefix: &str, key: &str) -> Option<i64> {
    key.strip_prefix(prefix)?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marks_key_says_how_far_it_came() {
        let place = Place { group: "pageview-redrive", topic: "pageview-dead-letters", partition: 0 };
        let prefix = place.prefix();
        assert_eq!(prefix, "ledger/redriven/pageview-redrive/pageview-dead-letters-p00000/");
        assert_eq!(next(&prefix, &format!("{prefix}{:020}.json", 1500)), Some(1500));
        assert_eq!(next(&prefix, &format!("{prefix}notes.txt")), None);
    }
}
