//! Writing what makes the counts right.

use std::collections::BTreeMap;

use anyhow::bail;
use model::{EpochSeconds, PageviewAggregate};
use rdkafka::message::OwnedHeaders;
use s3_sink::bucket::Bucket;
use s3_sink::encode::{self, Text, Tools};
use s3_sink::format::{Format, content_type};
use s3_sink::object_name;
use s3_sink::store::{Created, NewObject};

use crate::objects::{self, persistently};
use crate::transaction::Outgoing;

/// Rows as records of a topic of counts.
pub(super) fn records(rows: &[PageviewAggregate]) -> Vec<Outgoing> {
    let record = |row: &PageviewAggregate| Outgoing {
        key: Some(row.postcode.as_bytes().to_vec()),
        value: Some(row.to_json()),
        headers: OwnedHeaders::new(),
    };
    rows.iter().map(record).collect()
}

/// Writes `rows` of the minutes `[from, to)` below `recount/`, an object a day; their keys.
///
/// # Errors
/// When S3 does not answer, or such an object is there already.
pub(super) async fn replace(
    bucket: &Bucket,
    (from, to): (EpochSeconds, EpochSeconds),
    rows: &[PageviewAggregate],
) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    for (key, rows) in days(from, to, rows) {
        let new = NewObject {
            key: key.clone(),
            body: packed(&rows)?.into(),
            content_type: content_type(Format::NdjsonGz),
            metadata: vec![("records", rows.len().to_string())],
        };
        let created = persistently(async || bucket.create(&new, 0).await).await?;
        // By a run that was killed, or by our own attempt whose answer was lost.
        if created == Created::Taken && objects::get(bucket, &key).await? != Some(new.body) {
            bail!(
                "{key} is there already and says something else: delete it first, if it is to be counted again"
            );
        }
        keys.push(key);
    }
    Ok(keys)
}

/// The rows of each day, by the key of their object.
fn days(
    from: EpochSeconds,
    to: EpochSeconds,
    rows: &[PageviewAggregate],
) -> BTreeMap<String, Vec<PageviewAggregate>> {
    // Without colons, which Hadoop's paths do not take.
    let name = |time: EpochSeconds| time.to_string().replace([':', '-'], "");
    let mut objects = BTreeMap::<_, Vec<_>>::new();
    for row in rows {
        let day = object_name::day(row.window_start.day());
        let key = format!("recount/{day}/{}-{}.ndjson.gz", name(from), name(to));
        objects.entry(key).or_default().push(*row);
    }
    objects
}

fn packed(rows: &[PageviewAggregate]) -> Result<Vec<u8>, encode::Error> {
    let (mut file, mut tools) = (Text::new(Format::NdjsonGz), Tools::new());
    rows.iter().try_for_each(|row| file.line(&row.to_json(), &mut tools))?;
    file.finish(&mut tools)
}

#[cfg(test)]
mod tests {
    use model::Window;
    use s3_sink::decode::decode;

    use super::*;

    fn row(window: &str, pageview_count: u64) -> PageviewAggregate {
        let (postcode, window_start) = ("N1".parse().unwrap(), window.parse().unwrap());
        PageviewAggregate { postcode, window_start, pageview_count }
    }

    #[test]
    fn each_day_has_an_object_of_its_rows() {
        let rows = [row("2026-11-24T23:59:00", 1), row("2026-11-25T00:00:00", 2)];
        let time = |text: &str| text.parse::<Window>().unwrap().start();
        let (from, to) = (time("2026-11-24T23:00:00"), time("2026-11-25T01:00:00"));
        let objects = days(from, to, &rows);
        let keys: Vec<_> = objects.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "recount/dt=2026-11-24/20261124T230000Z-20261125T010000Z.ndjson.gz",
                "recount/dt=2026-11-25/20261124T230000Z-20261125T010000Z.ndjson.gz",
            ]
        );
        let mut lines = Vec::new();
        decode(keys[1], packed(&objects[keys[1]]).unwrap().into(), |record| {
            lines.push(record.bytes().to_vec());
            anyhow::Ok(())
        })
        .unwrap();
        assert_eq!(lines, [rows[1].to_json()]);
    }

    #[test]
    fn a_row_is_sent_under_its_postcode() {
        let sent = &records(&[row("2026-11-24T23:59:00", 1)])[0];
        assert_eq!(sent.key.as_deref(), Some(&b"N1"[..]));
        let parsed = PageviewAggregate::parse(sent.value.as_deref().unwrap()).unwrap();
        assert_eq!(parsed, row("2026-11-24T23:59:00", 1));
    }
}
