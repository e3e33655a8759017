//! `pageviews audit --deep`: the contents themselves, where the quick audit takes the ledger's word.
//!
//! ```text
//! S3    -> dead letters, then all objects -> content:  bytes, numbers and sums as the ledger says
//!                                         -> minutes --> recount: every minute is counted right
//!                                         -> retained <-- topic <-- Kafka: the same records
//! ```
//! An object is read once, whatever is made of it. Memory is that of the objects being read, and of the minutes.

mod content;
mod fingerprint;
mod recount;
mod retained;
mod topic;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aggregator::windows::CLOCK_TOLERANCE;
use indicatif::HumanCount;
use model::PageviewAggregate;
use s3_sink::Kind;
use s3_sink::bucket::{Bucket, Listed};
use s3_sink::format::{self, Format};
use s3_sink::ledger::{Content as Records, Entry};
use service::Config;
use tokio::task::block_in_place;

use super::check::{Check, Status};
use super::ledger::TopicLedger;
use super::quiet::Point;
use super::{Snapshot, balance};
use crate::minutes::{Events, Minutes, Rules, dead_event, lock};
use crate::objects::{self, Found};
use crate::span::Span;
use content::{Content, ContentCheck, Listing};
use fingerprint::Fingerprints;
use recount::Coverage;
use retained::{Held, Ranges};

/// What a deep audit found.
pub(super) struct Findings {
    pub(super) checks: Vec<Check>,
    /// What was looked at.
    pub(super) looked_at: String,
    /// What cannot be proved any more, in words.
    pub(super) unproved: Vec<String>,
}

/// A deep audit that is going on.
struct Deep {
    listings: Arc<BTreeMap<String, Listing>>,
    fingerprints: Arc<Fingerprints>,
    minutes: Arc<Mutex<Minutes>>,
    content: ContentCheck,
    ranges: Ranges,
    /// Whether every object of events, and every other one, could be read.
    has_events: bool,
    has_counts: bool,
    /// Events that were counted and taken out of the objects since.
    taken_out: u64,
}

/// Reads what `snapshot` has within `span`, and what the topics hold of it, if they are those that the ledger is of.
pub(super) async fn audit(
    config: &Config,
    bucket: &Bucket,
    snapshot: &Snapshot,
    span: Span,
    is_settled: bool,
    is_same_topic: bool,
) -> anyhow::Result<Findings> {
    // An event may be ahead of its record by so much, and so may clocks differ.
    let margin = config.pipeline.max_future_skew + CLOCK_TOLERANCE;
    let mut deep = Deep::of(snapshot, span, margin, is_same_topic);
    let (dead_letters, others): (Vec<_>, Vec<_>) = deep
        .listings
        .iter()
        .filter_map(|(key, listing)| Some((listing.kind, key, snapshot.objects.get(key)?)))
        .map(|(kind, key, size)| (kind, Listed { key: key.clone(), size: *size }))
        .partition(|(kind, _)| *kind == Kind::DeadLetters);
    let objects = |part: Vec<(Kind, Listed)>| part.into_iter().map(|(_, object)| object).collect::<Vec<_>>();

    // Which events are dead must be known before events are counted.
    let mut rules = Rules { span, points: points(snapshot), ..Rules::default() };
    deep.read_dead_letters(bucket, &config.pipeline.pageviews_topic, objects(dead_letters), &mut rules)
        .await?;
    deep.read_others(bucket, objects(others), rules).await?;

    let topics: BTreeMap<_, _> =
        snapshot.ledgers.iter().map(|ledger| (ledger.kind, ledger.topic.clone())).collect();
    let name = |kind| topics.get(&kind).cloned().unwrap_or_default();
    let parts = deep.ranges.parts();
    let held = block_in_place(|| topic::read(config, parts, name, &deep.fingerprints))?;
    Ok(deep.finish(snapshot, span, is_settled, &held, name))
}

/// How far the aggregator has come, where that is known.
fn points(snapshot: &Snapshot) -> HashMap<i32, aggregator::resume_point::ResumePoint> {
    let known = snapshot.progress.points.iter().filter_map(|(partition, point)| match point {
        Point::Known(point) => Some((*partition, *point)),
        Point::None | Point::Unreadable(_) => None,
    });
    known.collect()
}

/// Whether a range of the writer `kind` may have records that matter for the minutes of `span`:
///
/// | writer | when |
/// | --- | --- |
/// | raw | a record of it is of that time, or by `margin` before or after |
/// | aggregates, late | a record of it is of that time, or a window of it of those days |
/// | dead letters | from `margin` before on, as nobody knows when the aggregator came to an event |
fn selects(span: &Span, kind: Kind, entry: &Entry, margin: Duration) -> bool {
    let Records::Written(written) = &entry.content else { return false };
    let (first, last) = (written.first_timestamp, written.last_timestamp);
    match kind {
        Kind::Raw => span.meets(first.minus(margin), last.plus(margin)),
        Kind::Aggregates | Kind::Late => {
            span.meets(first, last) || written.objects.iter().any(|object| span.meets_day_of(&object.key))
        }
        Kind::DeadLetters => span.begins_by(last.plus(margin)),
    }
}

impl Deep {
    /// Everything that is to be looked at.
    fn of(snapshot: &Snapshot, span: Span, margin: Duration, is_same_topic: bool) -> Self {
        let (mut listings, mut ranges) = (BTreeMap::new(), Ranges::default());
        let (mut has_events, mut has_counts, mut taken_out) = (true, true, 0);
        for ledger in &snapshot.ledgers {
            let kind = ledger.kind;
            for entry in ledger.entries().filter(|entry| selects(&span, kind, entry, margin)) {
                let Records::Written(written) = &entry.content else { continue };
                let log_start = snapshot.progress.starts.get(&(kind, entry.partition)).copied();
                // A topic that was made again holds other records under the same offsets.
                let log_start = log_start.filter(|_| is_same_topic);
                let retained_from = log_start.map_or(entry.end, |start| start.clamp(entry.start, entry.end));
                let is_changed =
                    entry.objects().iter().any(|object| snapshot.register.is_changed(&object.key));
                let key = (kind, entry.partition, entry.start);
                ranges.begin(key, entry.end, retained_from, written.records, is_changed);
                for object in entry.objects() {
                    let listing = Listing {
                        kind,
                        partition: entry.partition,
                        start: entry.start,
                        end: entry.end,
                        object: object.clone(),
                        left: snapshot.register.left(object),
                        retained_from,
                        is_within: span.lasts_beyond(written.last_timestamp),
                    };
                    let is_there = snapshot.objects.contains_key(&object.key);
                    if !is_there {
                        ranges.add(&listing, None);
                        if listing.has_events() && snapshot.register.is_deleted(&object.key) {
                            taken_out += object.records;
                        } else {
                            *(if kind == Kind::Raw { &mut has_events } else { &mut has_counts }) = false;
                        }
                    }
                    listings.insert(object.key.clone(), listing);
                }
            }
        }
        Self {
            listings: Arc::new(listings),
            fingerprints: Arc::default(),
            minutes: Arc::default(),
            content: ContentCheck::new(),
            ranges,
            has_events,
            has_counts,
            taken_out,
        }
    }

    /// Reads the dead letters, and notes in `rules` which events of `topic` they are.
    async fn read_dead_letters(
        &mut self,
        bucket: &Bucket,
        topic: &str,
        objects: Vec<Listed>,
        rules: &mut Rules,
    ) -> anyhow::Result<()> {
        let (listings, fingerprints) = (Arc::clone(&self.listings), Arc::clone(&self.fingerprints));
        let topic = topic.to_owned();
        let read = move |object: &Found| {
            let mut dead = Vec::new();
            let content = Content::read(&listings[&object.key], object, &fingerprints, |_, record| {
                dead.extend(dead_event(record, &topic));
                Ok(0)
            })?;
            Ok((content, dead))
        };
        objects::read(bucket, "dead letters", objects, read, |key, read| {
            let content = read.map(|(content, dead)| {
                rules.dead.extend(dead);
                content
            });
            self.add(key, content);
            Ok(())
        })
        .await
    }

    /// Reads all other objects, and counts again what they hold.
    async fn read_others(
        &mut self,
        bucket: &Bucket,
        objects: Vec<Listed>,
        rules: Rules,
    ) -> anyhow::Result<()> {
        let (listings, fingerprints) = (Arc::clone(&self.listings), Arc::clone(&self.fingerprints));
        let (minutes, rules) = (Arc::clone(&self.minutes), Arc::new(rules));
        let read = move |object: &Found| {
            let listing = &listings[&object.key];
            let mut events = Events::new(&minutes, &rules, listing.partition);
            Content::read(listing, object, &fingerprints, |offset, record| {
                if listing.kind == Kind::Raw {
                    events.add(offset, listing.end, record.bytes());
                } else if listing.has_counts() {
                    let row = PageviewAggregate::parse(record.bytes())?;
                    if rules.span.covers(row.window_start) {
                        lock(&minutes).add_row(&row, listing.is_within);
                    }
                    return Ok(row.pageview_count);
                }
                Ok(0)
            })
        };
        objects::read(bucket, "objects", objects, read, |key, content| {
            self.add(key, content);
            Ok(())
        })
        .await
    }

    fn add(&mut self, key: &str, content: Result<Content, objects::Unread>) {
        let Some(listing) = self.listings.get(key) else { return };
        self.content.add(listing, &content);
        self.ranges.add(listing, content.as_ref().ok());
        self.taken_out += content.as_ref().map_or(0, |content| listing.taken_out(content));
        if content.is_err() {
            *(if listing.kind == Kind::Raw { &mut self.has_events } else { &mut self.has_counts }) = false;
        }
    }

    fn finish(
        self,
        snapshot: &Snapshot,
        span: Span,
        is_settled: bool,
        held: &Held,
        name: impl Fn(Kind) -> String,
    ) -> Findings {
        let ledgers = &snapshot.ledgers;
        let coverage = Coverage {
            is_settled,
            has_events: self.has_events && !lacks_records(ledgers, |kind| kind == Kind::Raw),
            has_counts: self.has_counts && !lacks_records(ledgers, |kind| kind != Kind::Raw),
            taken_out: self.taken_out,
        };
        let retained = self.ranges.check(held, name);
        let mut unproved = Vec::new();
        let mut tell = |count: u64, words: &str| {
            if count > 0 {
                unproved.push(format!("{} {words}", HumanCount(count)));
            }
        };
        tell(
            retained.numbers["older"],
            "records are older than what the topics hold: that they are what was sent, only the ledger's checksums say",
        );
        tell(
            snapshot.register.records(),
            "records were forgotten on purpose: what they were, and what they counted for, nobody can tell",
        );
        if !is_settled {
            unproved.push("what is on its way: --wait 2m waits for it".to_owned());
        }
        if !span.is_all() {
            unproved.push(format!("minutes and records of others than {span}: they were not looked at"));
        }
        unproved.extend(unread_columns(self.listings.keys()));
        let recount = recount::check(&lock(&self.minutes), coverage);
        let mut content = self.content.finish();
        if self.listings.is_empty() && !span.is_all() {
            content
                .find(Status::NotProvable, format!("there is nothing of {span}: are they written in UTC?"));
        }
        let looked_at = format!(
            "{} records in {} objects ({span})",
            HumanCount(content.numbers["records"]),
            HumanCount(content.numbers["objects"])
        );
        Findings { checks: vec![content, retained, recount], looked_at, unproved }
    }
}

/// What of the objects `keys` is not read, in words: a value is in one column, and others repeat what is in it.
fn unread_columns<'a>(mut keys: impl Iterator<Item = &'a String>) -> Option<String> {
    keys.any(|key| format::of(key) == Some(Format::Parquet)).then(|| {
        "the other columns of Parquet files: `event` and `offset` are read of an event, and of a count with a `record` \
         that and `offset`"
            .to_owned()
    })
}

/// Whether records of some writers were lost, or dropped before the sink took charge.
fn lacks_records(ledgers: &[TopicLedger], of: impl Fn(Kind) -> bool) -> bool {
    let mut ledgers = ledgers.iter().filter(|ledger| of(ledger.kind));
    ledgers.any(|ledger| {
        balance::starts_late(std::slice::from_ref(ledger))
            || ledger.entries().any(|entry| entry.content == Records::Lost)
    })
}

#[cfg(test)]
mod tests {
    use model::EpochSeconds;

    use super::super::ledger::tests::entry;
    use super::*;

    #[test]
    fn columns_that_are_not_read_are_told_where_there_are_any() {
        let [lines, columns] = ["raw/a.ndjson.gz", "raw/b.parquet"].map(str::to_owned);
        assert_eq!(unread_columns([&lines].into_iter()), None);
        assert!(
            unread_columns([&lines, &columns].into_iter()).is_some_and(|words| words.contains("`event`"))
        );
    }

    #[test]
    fn each_row_of_what_a_span_selects() {
        // Noon of 2021-01-26, and an hour of it.
        let noon = 1_611_662_400;
        let span = Span::new(Some(EpochSeconds(noon)), Some(EpochSeconds(noon + 3600))).unwrap();
        let range = |folder: &str, first: i64, last: i64| {
            let mut entry = entry("t", 0, 9, &[(folder, 1, None)]);
            if let Records::Written(written) = &mut entry.content {
                written.first_timestamp = EpochSeconds(noon + first).to_millis();
                written.last_timestamp = EpochSeconds(noon + last).to_millis();
            }
            entry
        };
        let margin = Duration::from_secs(360);
        for (kind, folder, first, last, selected) in [
            (Kind::Raw, "raw/dt=2021-01-26/hour=11", -900, -361, false),
            (Kind::Raw, "raw/dt=2021-01-26/hour=11", -900, -360, true),
            (Kind::Raw, "raw/dt=2021-01-26/hour=12", 10, 20, true),
            (Kind::Raw, "raw/dt=2021-01-26/hour=13", 3959, 4000, true),
            (Kind::Raw, "raw/dt=2021-01-26/hour=13", 3960, 4000, false),
            (Kind::Aggregates, "aggregates/dt=2021-01-26", 90_000, 90_001, true),
            (Kind::Late, "late/dt=2021-01-25", 10, 20, true),
            (Kind::Late, "late/dt=2021-01-25", 90_000, 90_001, false),
            (Kind::DeadLetters, "dead-letter/topic/dt=2021-01-26", -900, -361, false),
            (Kind::DeadLetters, "dead-letter/topic/dt=2021-02-26", 90_000, 90_001, true),
        ] {
            let range = range(folder, first, last);
            assert_eq!(selects(&span, kind, &range, margin), selected, "{kind} {folder} {first} {last}");
            assert!(selects(&Span::default(), kind, &range, margin), "{kind} {folder}");
            let lost = Entry { content: Records::Lost, ..range };
            assert!(!selects(&span, kind, &lost, margin), "nothing of it can be read");
        }
    }
}
