//! The newest objects of each folder, as the ledger lists them.

use std::collections::BTreeMap;

use model::EpochMillis;
use s3_sink::ledger::{Content, Entry};

/// How many of a folder are kept.
const KEPT: usize = 4;
/// The folders, in the order in which they are shown.
const FOLDERS: [&str; 4] = ["raw", "aggregates", "late", "dead-letter"];

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct New {
    pub(crate) key: String,
    pub(crate) records: u64,
    /// When its range's last record came into the topic.
    pub(crate) last: EpochMillis,
}

/// The newest of each folder, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Newest(BTreeMap<&'static str, Vec<New>>);

impl Newest {
    /// Adds the objects of a range.
    pub(crate) fn add(&mut self, entry: &Entry) {
        let Content::Written(written) = &entry.content else { return };
        for object in &written.objects {
            let folder = FOLDERS
                .into_iter()
                .find(|folder| object.key.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')));
            let Some(folder) = folder else { continue };
            let kept = self.0.entry(folder).or_default();
            if kept.iter().any(|known| known.key == object.key) {
                continue;
            }
            let last = written.last_timestamp;
            kept.push(New { key: object.key.clone(), records: object.records, last });
            kept.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| b.key.cmp(&a.key)));
            kept.truncate(KEPT);
        }
    }

    /// By folder.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (&'static str, &[New])> {
        FOLDERS.into_iter().map(|folder| (folder, self.0.get(folder).map_or(&[][..], Vec::as_slice)))
    }
}

#[cfg(test)]
mod tests {
    use s3_sink::checksum::Hasher;
    use s3_sink::ledger::{Object, Recipe, Written};

    use super::*;

    fn entry(start: i64, last: i64, keys: &[&str]) -> Entry {
        let object = |key: &&str| Object {
            key: (*key).to_owned(),
            records: 7,
            checksum: Hasher::default().finish(),
            pageview_count: None,
            offsets: None,
        };
        let written = Written {
            recipe: Recipe { format: "ndjson.gz".to_owned(), layout: 1, rules: 1 },
            records: 7,
            first_timestamp: EpochMillis(last),
            last_timestamp: EpochMillis(last),
            objects: keys.iter().map(object).collect(),
        };
        let content = Content::Written(written);
        Entry { topic: "pageviews".to_owned(), partition: 0, start, end: start + 7, content }
    }

    #[test]
    fn the_newest_of_each_folder_are_kept_once() {
        let mut newest = Newest::default();
        for (start, last) in [(0, 10), (7, 50), (14, 30), (21, 40), (28, 20), (7, 50)] {
            newest.add(&entry(start, last, &[&format!("raw/x{start}"), "elsewhere/x"]));
        }
        newest.add(&entry(35, 60, &["dead-letter/raw/y"]));
        newest.add(&Entry { content: Content::Lost, ..entry(42, 70, &[]) });
        let shown: Vec<_> = newest
            .folders()
            .map(|(folder, objects)| (folder, objects.iter().map(|new| new.last.0).collect::<Vec<_>>()))
            .collect();
        let expected = [
            ("raw", vec![50, 40, 30, 20]),
            ("aggregates", vec![]),
            ("late", vec![]),
            ("dead-letter", vec![60]),
        ];
        assert_eq!(shown, expected);
    }
}
