//! Counts again, from the topics alone and in the simplest way: no window, no offset, no ledger.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use model::{Pageview, PageviewAggregate, Postcode, Window, topic};
use rdkafka::Message as _;
use stack::Stack;

use crate::topic::read;

/// Pageviews by postcode and minute.
pub type Counts = BTreeMap<(Postcode, Window), u64>;

/// How many differences an error shows.
const SHOWN: usize = 5;

/// What a recount has compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recount {
    /// Events that were counted, each once.
    pub events: u64,
    /// Rows of `pageview-aggregates`, each of another postcode or minute.
    pub rows: usize,
}

/// Whether the rows that were written say what the events in `pageviews` say, and `pageview-aggregates` says it in one row
/// a postcode and minute. For events that are all different, and all to be counted; once the audit has seen everything
/// arrive.
///
/// # Errors
/// When a count is wrong, or a row is there twice.
pub async fn recount(stack: &Stack) -> Result<Recount> {
    let events = read(stack, topic::PAGEVIEWS, Counts::new(), |counts, record| {
        let event = record.payload().and_then(|json| Pageview::parse(json).ok());
        if let Some(event) = event {
            *counts.entry((event.postcode, event.window())).or_default() += 1;
        }
        Ok(())
    })
    .await?;
    let aggregates = rows(stack, topic::AGGREGATES).await?;
    let twice = aggregates.iter().filter(|(_, rows)| rows.len() > 1);
    let twice: Vec<_> =
        twice.map(|((postcode, window), rows)| (postcode, window, rows)).take(SHOWN).collect();
    ensure!(twice.is_empty(), "more than one row in {}: {twice:?}", topic::AGGREGATES);
    let counted = sums(stack).await?;
    let different = differences(&events, &counted);
    ensure!(different.is_empty(), "(postcode, minute, events, counted): {different:?}");
    Ok(Recount { events: events.values().sum(), rows: aggregates.len() })
}

/// What was counted: the sum of the rows of `pageview-aggregates` and `late-pageview-aggregates`.
///
/// # Errors
/// When a row cannot be read.
pub async fn sums(stack: &Stack) -> Result<Counts> {
    let mut sums = Counts::new();
    for topic in [topic::AGGREGATES, topic::LATE] {
        for (minute, rows) in rows(stack, topic).await? {
            *sums.entry(minute).or_default() += rows.iter().sum::<u64>();
        }
    }
    Ok(sums)
}

/// The counts of every row of a postcode and minute.
async fn rows(stack: &Stack, topic: &'static str) -> Result<BTreeMap<(Postcode, Window), Vec<u64>>> {
    read(stack, topic, BTreeMap::<_, Vec<_>>::new(), |rows, record| {
        let row = PageviewAggregate::parse(record.payload().unwrap_or_default())?;
        rows.entry((row.postcode, row.window_start)).or_default().push(row.pageview_count);
        Ok(())
    })
    .await
}

fn differences(events: &Counts, counted: &Counts) -> Vec<(Postcode, Window, u64, u64)> {
    let minutes = events.keys().chain(counted.keys().filter(|minute| !events.contains_key(minute)));
    let of = |counts: &Counts, minute| counts.get(minute).copied().unwrap_or(0);
    let compared = minutes.map(|minute| (minute.0, minute.1, of(events, minute), of(counted, minute)));
    compared.filter(|(.., events, counted)| events != counted).take(SHOWN).collect()
}
