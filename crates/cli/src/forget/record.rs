//! The document of what is about to be done: written before anything is.

use anyhow::ensure;
use bytes::Bytes;
use model::EpochMillis;
use s3_sink::bucket::Bucket;
use s3_sink::forgotten::{self, Change, Forgotten, Reason, Remains};
use s3_sink::store::{Created, NewObject};

use crate::objects::{self, persistently};

/// Everything that earlier runs have done, or were about to do.
///
/// # Errors
/// When S3 does not answer, or a document cannot be read.
pub(super) async fn read(bucket: &Bucket) -> anyhow::Result<Vec<Forgotten>> {
    let listed = objects::list(bucket, forgotten::prefix()).await?;
    let keys = listed.into_iter().map(|object| object.key).collect();
    let documents = objects::documents(bucket, "what was forgotten", keys).await?;
    Ok(documents.map(|(key, json)| Forgotten::parse(&key, &json)).collect::<Result<_, _>>()?)
}

/// What the document `id` says is left of the object `key`: what an object holds whose metadata names it.
pub(super) fn remains<'a>(documents: &'a [Forgotten], id: &str, key: &str) -> Option<&'a Remains> {
    let document = documents.iter().find(|document| document.id == id)?;
    document.objects.iter().find(|change| change.key == key)?.remains.as_ref()
}

/// A document of `changes`, named by the time and by chance.
pub(super) fn of(reason: Reason, at: EpochMillis, chance: u32, mut changes: Vec<Change>) -> Forgotten {
    changes.sort_by(|a, b| a.key.cmp(&b.key));
    let time = at.to_seconds().to_string().replace(':', "");
    Forgotten { id: format!("{time}-{chance:08x}"), reason, at, objects: changes }
}

/// Writes it.
///
/// # Errors
/// When S3 does not take it: then nothing may be done of what it says.
pub(super) async fn write(bucket: &Bucket, document: &Forgotten) -> anyhow::Result<()> {
    let body = Bytes::from(document.to_json());
    let (key, content_type, metadata) = (document.key(), "application/json", Vec::new());
    let new = NewObject { key, body, content_type, metadata };
    if persistently(async || bucket.create(&new, 0).await).await? == Created::Taken {
        // By our own attempt whose answer was lost; or by somebody who drew the same number in the same second.
        let found = objects::get(bucket, &new.key).await?;
        ensure!(found == Some(new.body), "{} is there and says something else: run this again", new.key);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use s3_sink::checksum::Hasher;

    use super::*;

    fn change(key: &str, records: u64) -> Change {
        let remains = Remains { records, checksum: Hasher::default().finish(), offsets: None };
        Change { key: key.to_owned(), records_removed: 1, remains: Some(remains) }
    }

    #[test]
    fn a_document_can_be_read_back_and_names_no_user() {
        let at = EpochMillis(1_795_597_200_123);
        let document =
            of(Reason::User { user_ids: 2 }, at, 0x3f9a, vec![change("raw/b", 1), change("raw/a", 2)]);
        assert_eq!(document.key(), "ledger/forgotten/2026-11-25T090000Z-00003f9a.json");
        assert_eq!(document.objects[0].key, "raw/a");
        assert_eq!(Forgotten::parse(&document.key(), &document.to_json()).unwrap(), document);
    }

    #[test]
    fn an_object_holds_what_the_document_says_that_it_names() {
        let reason = Reason::User { user_ids: 1 };
        let [done, planned] = [(1, 5), (2, 3)]
            .map(|(chance, left)| of(reason, EpochMillis(0), chance, vec![change("raw/a", left)]));
        let documents = [done.clone(), planned];
        let left = |id: &str, key| remains(&documents, id, key).map(|remains| remains.records);
        assert_eq!(
            left(&done.id, "raw/a"),
            Some(5),
            "a later document that was not carried out says nothing"
        );
        assert_eq!((left(&done.id, "raw/b"), left("another", "raw/a")), (None, None));
    }
}
