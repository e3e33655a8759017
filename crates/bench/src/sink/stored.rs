//! What a contestant has left in the bucket. A benchmark that loses records is worth nothing.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method, Response};
use s3_sink::ledger::{Content, Entry, Genesis};
use s3_sink::object_name::LedgerKeys;
use s3_sink::tiles::PartitionLedger;
use service::config::Format;
use stack::Emulator;

use crate::topics::{PARTITIONS, TOPIC};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The emulator's bucket, read by plain HTTP: it asks for no credentials.
pub(super) struct Bucket {
    url: String,
    http: Client,
}

/// An object in a list.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    key: String,
    size: u64,
}

impl Bucket {
    /// That of `emulator`.
    pub(super) fn of(emulator: &Emulator) -> anyhow::Result<Self> {
        let http = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { url: format!("{}/{}", emulator.endpoint(), Emulator::BUCKET), http })
    }

    /// Whether the sink has written `events` records in `format`, by its ledger, and every object that this lists is
    /// there. Returns the size of the objects.
    pub(super) async fn check_ours(&self, format: Format, events: u64) -> anyhow::Result<u64> {
        let objects = self.list("raw/").await?;
        let keys: HashSet<&str> = objects.iter().map(|object| &*object.key).collect();
        let mut records = 0;
        for partition in 0..PARTITIONS {
            let ledger = self.ledger(&LedgerKeys { topic: TOPIC.to_owned(), partition }).await?;
            if let Some(fault) = ledger.faults().first() {
                anyhow::bail!("the ledger of partition {partition} has a fault: {fault}");
            }
            for entry in &ledger.entries {
                let Content::Written(written) = &entry.content else { continue };
                let found = &written.recipe.format;
                ensure!(found == format.name(), "{} is in {found}, not in {}", entry.key(), format.name());
                for object in &written.objects {
                    ensure!(keys.contains(&*object.key), "{} is not there", object.key);
                }
                records += written.records;
            }
        }
        ensure!(records == events, "the ledger has {records} records, and there were {events}");
        Ok(size(&objects))
    }

    /// Whether the plain sink has written `records`, by what it says of its objects. Returns their size.
    pub(super) async fn check_plain(&self, records: u64) -> anyhow::Result<u64> {
        let objects = self.list("raw/").await?;
        let mut found = 0;
        for Listed { key, .. } in &objects {
            let response = self.send(Method::HEAD, &format!("/{key}")).await?;
            let header = response.headers().get("x-amz-meta-records").and_then(|value| value.to_str().ok());
            let records: Option<u64> = header.and_then(|text| text.parse().ok());
            found += records.with_context(|| format!("{key} does not say how many records it has"))?;
        }
        ensure!(found == records, "{found} records were written, and there were {records}");
        Ok(size(&objects))
    }

    async fn ledger(&self, keys: &LedgerKeys) -> anyhow::Result<PartitionLedger> {
        let genesis = self.get(&keys.genesis()).await?;
        let genesis = Some(Genesis::parse(&keys.genesis(), &genesis)?);
        let mut entries = Vec::new();
        for Listed { key, .. } in self.list(&keys.prefix()).await? {
            if keys.start_of(&key).is_some() {
                entries.push(Entry::parse(&key, &self.get(&key).await?)?);
            }
        }
        Ok(PartitionLedger { genesis, entries })
    }

    async fn list(&self, prefix: &str) -> anyhow::Result<Vec<Listed>> {
        let answer = self.send(Method::GET, &format!("?list-type=2&prefix={prefix}")).await?.text().await?;
        parse_list(&answer).with_context(|| format!("the list of {prefix} is not as expected: {answer}"))
    }

    async fn get(&self, key: &str) -> anyhow::Result<Vec<u8>> {
        Ok(self.send(Method::GET, &format!("/{key}")).await?.bytes().await?.into())
    }

    async fn send(&self, method: Method, path: &str) -> anyhow::Result<Response> {
        let url = format!("{}{path}", self.url);
        let response = self.http.request(method, &url).send().await.and_then(Response::error_for_status);
        response.with_context(|| format!("cannot read {url}"))
    }
}

fn size(objects: &[Listed]) -> u64 {
    objects.iter().map(|object| object.size).sum()
}

/// Reads an answer to ListObjectsV2; `None` if it is not the whole list.
fn parse_list(xml: &str) -> Option<Vec<Listed>> {
    let field = |text: &str, name: &str| -> Option<String> {
        let rest = text.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once("</")?.0.to_owned())
    };
    if !xml.contains("<ListBucketResult") || xml.contains("<IsTruncated>true") {
        return None;
    }
    let contents = xml.split("<Contents>").skip(1);
    contents
        .map(|item| Some(Listed { key: field(item, "Key")?, size: field(item, "Size")?.parse().ok()? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let item = |key: &str, size| {
            format!("<Contents><Key>{key}</Key><ETag>x</ETag><Size>{size}</Size></Contents>")
        };
        let list = |truncated, items: &str| {
            format!(
                "<ListBucketResult xmlns=\"s3\"><IsTruncated>{truncated}</IsTruncated>{items}</ListBucketResult>"
            )
        };
        let listed = |key: &str, size| Listed { key: key.to_owned(), size };
        let two = item("raw/a", "7") + &item("raw/b", "8");
        assert_eq!(parse_list(&list(false, &two)), Some(vec![listed("raw/a", 7), listed("raw/b", 8)]));
        assert_eq!(parse_list(&list(false, "")), Some(Vec::new()));
        assert_eq!(parse_list(&list(true, &two)), None);
        assert_eq!(parse_list(&list(false, &item("raw/a", "many"))), None);
        assert_eq!(parse_list("<Error><Code>NoSuchBucket</Code></Error>"), None);
    }
}
