use std::collections::BTreeMap;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use model::EpochMillis;

use super::*;
use crate::Kind;
use crate::batch::Batch;
use crate::checksum::Hasher;
use crate::encode::Tools;
use crate::format::Format;
use crate::range::{Range, Source};
use crate::record::{NO_HEADERS, Record};
use crate::route::Router;
use crate::store::Head;

/// A bucket in memory that answers at once.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, NewObject>>);

impl Memory {
    fn put(&self, object: NewObject) {
        self.0.lock().unwrap().insert(object.key.clone(), object);
    }

    fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    fn remove(&self, key: &str) {
        self.0.lock().unwrap().remove(key);
    }
}

impl Store for Memory {
    async fn create(&self, object: &NewObject) -> Created {
        if self.get(&object.key).await.is_some() {
            return Created::Taken;
        }
        self.put(object.clone());
        Created::New
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        self.0.lock().unwrap().get(key).map(|object| object.body.clone())
    }

    async fn head(&self, key: &str) -> Option<Head> {
        let objects = self.0.lock().unwrap();
        let metadata = &objects.get(key)?.metadata;
        let checksum =
            metadata.iter().find(|(name, _)| *name == CHECKSUM).and_then(|(_, text)| text.parse().ok());
        Some(Head { size: 0, checksum, forgotten: None })
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let listed = |key: &String| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
        self.keys().into_iter().filter(listed).collect()
    }
}

/// The store answers at once, so one poll is enough.
fn now<T>(future: impl Future<Output = T>) -> T {
    match Box::pin(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}

fn keys() -> LedgerKeys {
    LedgerKeys { topic: "t".to_owned(), partition: 0 }
}

/// The range `[start, end)` of events that say their offset.
fn plan(start: i64, end: i64, cause: Cause) -> Plan {
    let source = Source { kind: Kind::Raw, topic: "t".to_owned(), partition: 0 };
    let mut batch = Batch::default();
    for offset in start..end {
        let value = format!("{{\"offset\":{offset}}}");
        batch.push(&Record {
            offset,
            timestamp: EpochMillis(1_795_525_200_000),
            key: None,
            value: Some(value.as_bytes()),
            headers: &NO_HEADERS,
        });
    }
    let router = Router::new(Kind::Raw, Format::NdjsonGz);
    let (mut range, mut tools) = (Range::new(source, router, start), Tools::new());
    range.push(&batch, &mut tools).unwrap();
    Plan { sealed: range.seal(&mut tools).unwrap(), cause }
}

fn object(plan: &Plan) -> Object {
    plan.sealed.entry.objects()[0].clone()
}

#[test]
fn the_entry_and_its_object_are_written_and_a_second_time_is_as_good() {
    let store = Memory::default();
    let range = plan(10, 13, Cause::Age);
    for _ in 0..2 {
        assert!(matches!(now(write(&store, &range)), Outcome::Written));
        assert_eq!(store.keys(), [range.sealed.entry.key(), object(&range).key]);
    }
    assert!(matches!(now(write(&store, &plan(10, 13, Cause::Redo))), Outcome::Written));
}

#[test]
fn whoever_comes_second_with_another_range_writes_nothing() {
    let store = Memory::default();
    assert!(matches!(now(write(&store, &plan(10, 13, Cause::Age))), Outcome::Written));
    let before = store.keys();
    assert!(matches!(now(write(&store, &plan(10, 14, Cause::Age))), Outcome::Outdone));
    assert_eq!(store.keys(), before);
}

#[test]
fn an_object_of_other_content_is_never_overwritten_and_never_accepted() {
    let range = plan(10, 13, Cause::Age);
    let mut other = Hasher::default();
    other.record(10, Some(b"other"));
    for metadata in [vec![], vec![(CHECKSUM, other.finish().to_string())]] {
        let store = Memory::default();
        let body = Bytes::from_static(b"theirs");
        store.put(NewObject { key: object(&range).key, body: body.clone(), content_type: "", metadata });
        let outcome = now(write(&store, &range));
        assert!(matches!(outcome, Outcome::Blocked(Blocked::Conflict { .. })), "{outcome:?}");
        assert_eq!(now(store.get(&object(&range).key)), Some(body));
        let last = now(last(&store, &keys(), None, 0));
        assert!(matches!(last, Err(Blocked::Conflict { .. })), "{last:?}");
    }
}

#[test]
fn an_entry_of_a_later_version_blocks_whoever_meets_it() {
    let store = Memory::default();
    let range = plan(10, 13, Cause::Age);
    store.put(document(range.sealed.entry.key(), b"{\"version\":2}".to_vec()));
    let outcome = now(write(&store, &range));
    assert!(matches!(outcome, Outcome::Blocked(Blocked::Ledger(ledger::Error::UnknownVersion { .. }))));
    let found = now(last(&store, &keys(), None, 0));
    assert!(matches!(found, Err(Blocked::Ledger(ledger::Error::UnknownVersion { .. }))), "{found:?}");
}

#[test]
fn the_first_start_is_fixed_by_whoever_asks_first() {
    let store = Memory::default();
    assert_eq!(now(last(&store, &keys(), None, 5)).unwrap(), Last::Genesis(5));
    assert_eq!(now(last(&store, &keys(), None, 9)).unwrap(), Last::Genesis(5));
}

#[test]
fn the_last_entry_is_found_with_any_hint_and_with_none() {
    let store = Memory::default();
    let ranges = [plan(10, 13, Cause::Age), plan(13, 15, Cause::Age), plan(15, 20, Cause::Age)];
    now(last(&store, &keys(), None, 10)).unwrap();
    ranges.iter().for_each(|range| drop(now(write(&store, range))));
    let hints = [(13, 10), (15, 13), (20, 15), (12, 10), (99, 7), (25, 15), (0, 15)];
    for hint in [None].into_iter().chain(hints.map(|(committed, ledger)| Some(Hint { committed, ledger }))) {
        let Last::Entry { entry, complete } = now(last(&store, &keys(), hint, 0)).unwrap() else { panic!() };
        assert_eq!((entry.start, entry.end, complete), (15, 20, true), "{hint:?}");
    }
    store.remove(&object(&ranges[2]).key);
    let Last::Entry { complete, .. } = now(last(&store, &keys(), None, 0)).unwrap() else { panic!() };
    assert!(!complete);
}

#[test]
fn a_topic_is_claimed_once() {
    let store = Memory::default();
    let ours = Origin { topic: "t".to_owned(), cluster_id: "c".to_owned(), topic_id: "1".to_owned() };
    let others = Origin { topic_id: "2".to_owned(), ..ours.clone() };
    assert_eq!(now(claim(&store, &ours)).unwrap(), ours);
    assert_eq!(now(claim(&store, &ours)).unwrap(), ours);
    assert_eq!(now(claim(&store, &others)).unwrap(), ours);
}
