//! Reading what is to be compared: the events of the minutes, and their rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use model::PageviewAggregate;
use s3_sink::Kind;
use s3_sink::bucket::{Bucket, Listed};
use s3_sink::ledger::Object;
use s3_sink::offsets::Offsets;

use super::reach::Reach;
use crate::audit::survey::Survey;
use crate::minutes::{Events, Minutes, Rules, dead_event, lock};
use crate::objects::{self, Found};

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) minutes: Minutes,
    /// How many objects of events.
    pub(super) objects: u64,
    /// The first and the last hour of `raw/` that they are of, named as folders.
    pub(super) hours: Option<(String, String)>,
    /// Why there may be fewer events here than were counted.
    pub(super) lacks_events: Vec<String>,
    /// Why there may be fewer counts here than were written.
    pub(super) lacks_counts: Vec<String>,
}

/// An object of events.
#[derive(Debug)]
struct Listing {
    partition: i32,
    end: i64,
    /// The offsets of what was written.
    written: Option<Offsets>,
    /// The offsets of what was left whenever something was forgotten, by the document that says so.
    left: BTreeMap<String, Option<Offsets>>,
}

/// Counts the minutes of `reach` again, and adds up their rows.
pub(super) async fn count(
    bucket: &Bucket,
    survey: &Survey,
    reach: &Reach,
    events_topic: &str,
) -> anyhow::Result<Counted> {
    let mut counted = Counted::default();
    if reach.until.is_some() {
        counted.lacks_events.push("events that were ingested later were not read".to_owned());
    }
    let mut rules = Rules { span: reach.span, points: survey.points.clone(), ..Rules::default() };
    dead_letters(bucket, survey, reach, events_topic, &mut rules, &mut counted).await?;
    events(bucket, survey, reach, rules, &mut counted).await?;
    rows(bucket, survey, reach, &mut counted).await?;
    Ok(counted)
}

/// Which events are dead: they look like others, and were not counted.
async fn dead_letters(
    bucket: &Bucket,
    survey: &Survey,
    reach: &Reach,
    topic: &str,
    rules: &mut Rules,
    counted: &mut Counted,
) -> anyhow::Result<()> {
    let mut listed = Vec::new();
    // A dead letter may be written long after its event was ingested.
    let mut always = *reach;
    always.until = None;
    for entry in survey.entries(Kind::DeadLetters).filter(|entry| always.reads(entry)) {
        for object in entry.objects() {
            present(survey, &object.key, &mut listed, &mut counted.lacks_counts);
        }
    }
    let topic = topic.to_owned();
    let dead = move |object: &Found| {
        let mut dead = Vec::new();
        object.for_each(|record| {
            dead.extend(dead_event(&record, &topic));
            Ok(())
        })?;
        Ok(dead)
    };
    objects::read(bucket, "dead letters", listed, dead, |key, dead| {
        rules.dead.extend(dead.with_context(|| format!("cannot read {key}"))?);
        Ok(())
    })
    .await
}

async fn events(
    bucket: &Bucket,
    survey: &Survey,
    reach: &Reach,
    rules: Rules,
    counted: &mut Counted,
) -> anyhow::Result<()> {
    let (mut listed, mut listings) = (Vec::new(), BTreeMap::new());
    for entry in survey.entries(Kind::Raw).filter(|entry| reach.reads(entry)) {
        for object in entry.objects() {
            let left = survey.forgotten.get(&object.key);
            let offsets = |object: &Object| object.offsets_in(entry.start, entry.end);
            let listing = Listing {
                partition: entry.partition,
                end: entry.end,
                written: offsets(object),
                left: left.into_iter().flatten().map(|(id, left)| (id.clone(), offsets(left))).collect(),
            };
            listings.insert(object.key.clone(), listing);
            if left.is_some() {
                counted.lacks_events.push(format!("something was forgotten of {}", object.key));
            }
            present(survey, &object.key, &mut listed, &mut counted.lacks_events);
        }
    }
    let hours = listed.iter().filter_map(|object| Some(object.key.strip_prefix("raw/")?.rsplit_once('/')?.0));
    let range = hours.clone().min().zip(hours.max());
    counted.hours = range.map(|(first, last)| (first.to_owned(), last.to_owned()));
    counted.objects = listed.len() as u64;

    let (minutes, some_dead) = (Arc::new(Mutex::new(Minutes::default())), !rules.dead.is_empty());
    let (shared, rules, listings) = (Arc::clone(&minutes), Arc::new(rules), Arc::new(listings));
    let add = move |object: &Found| {
        let Listing { partition, end, written, left } = &listings[&object.key];
        // What it holds is what the document says that it names, carried out or not.
        let offsets = object.forgotten.as_ref().map_or(written.as_ref(), |id| left.get(id)?.as_ref());
        let mut events = Events::new(&shared, &rules, *partition);
        let (mut told, mut is_known) = (offsets.into_iter().flat_map(Offsets::iter), true);
        object.for_each(|record| {
            let offset = record.offset.or_else(|| told.next());
            is_known &= offset.is_some();
            events.add(offset, *end, record.bytes());
            Ok(())
        })?;
        Ok(is_known)
    };
    let (lacks_events, lacks_counts) = (&mut counted.lacks_events, &mut counted.lacks_counts);
    objects::read(bucket, "events", listed, add, |key, is_known| {
        match is_known {
            Ok(true) => {}
            Ok(false) if some_dead => lacks_counts
                .push(format!("nobody tells the offsets of {key}, nor which of its events are dead letters")),
            Ok(false) => {}
            Err(unread) => lacks_events.push(format!("{key} cannot be read: {unread}")),
        }
        Ok(())
    })
    .await?;
    counted.minutes = std::mem::take(&mut *lock(&minutes));
    Ok(())
}

async fn rows(bucket: &Bucket, survey: &Survey, reach: &Reach, counted: &mut Counted) -> anyhow::Result<()> {
    let mut listed = Vec::new();
    for (kind, folder) in [(Kind::Aggregates, "aggregates"), (Kind::Late, "late")] {
        for (_, object) in
            survey.listed(kind, folder).filter(|(_, object)| reach.span.meets_day_of(&object.key))
        {
            present(survey, &object.key, &mut listed, &mut counted.lacks_counts);
        }
    }
    let span = reach.span;
    let rows = move |object: &Found| {
        let mut rows = Vec::new();
        object.for_each(|record| {
            let row = PageviewAggregate::parse(record.bytes())?;
            if span.covers(row.window_start) {
                rows.push(row);
            }
            Ok(())
        })?;
        Ok(rows)
    };
    objects::read(bucket, "counts", listed, rows, |key, rows| {
        for row in rows.with_context(|| format!("cannot read {key}"))? {
            counted.minutes.add_row(&row, true);
        }
        Ok(())
    })
    .await
}

/// Adds the object `key` to those to be read, or says that it is gone.
fn present(survey: &Survey, key: &str, listed: &mut Vec<Listed>, lacking: &mut Vec<String>) {
    match survey.objects.get(key) {
        Some(size) => listed.push(Listed { key: key.to_owned(), size: *size }),
        None => lacking.push(format!("{key} is not there")),
    }
}
