//! A bucket whose requests land when the scheduler says so: at once, late, twice, or never.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use bytes::Bytes;
use s3_sink::checksum::Checksum;
use s3_sink::ledger::Entry;
use s3_sink::protocol::CHECKSUM;
use s3_sink::store::{Created, Head, NewObject, Store};

use super::{Bug, Random};

#[derive(Clone)]
pub(crate) struct Bucket {
    state: Arc<Mutex<State>>,
}

/// The bucket as one process sees it.
pub(crate) struct Connection {
    owner: usize,
    bucket: Bucket,
}

struct State {
    bug: Option<Bug>,
    objects: BTreeMap<String, NewObject>,
    /// Keys of objects that were deleted on purpose.
    deleted: Vec<String>,
    pending: Vec<Request>,
    /// PUTs whose sender no longer waits, or waits for a second attempt.
    late: Vec<NewObject>,
    next_id: usize,
}

struct Request {
    id: usize,
    owner: usize,
    call: Call,
    answer: Option<Answer>,
}

#[derive(Clone)]
enum Call {
    Create(NewObject),
    Get(String),
    List { prefix: String, after: Option<String> },
}

enum Answer {
    Create(Created),
    Get(Option<NewObject>),
    List(Vec<String>),
}

impl Bucket {
    pub(crate) fn new(bug: Option<Bug>) -> Self {
        let state = State {
            bug,
            objects: BTreeMap::new(),
            deleted: Vec::new(),
            pending: Vec::new(),
            late: Vec::new(),
            next_id: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A connection of a new process.
    pub(crate) fn connect(&self) -> Connection {
        let mut state = self.lock();
        state.next_id += 1;
        Connection { owner: state.next_id, bucket: self.clone() }
    }

    pub(crate) fn objects(&self) -> BTreeMap<String, NewObject> {
        self.lock().objects.clone()
    }

    pub(crate) fn deleted(&self) -> Vec<String> {
        self.lock().deleted.clone()
    }

    /// Something happens to one of the owner's requests.
    pub(crate) fn step(&self, owner: usize, random: &mut Random) {
        let mut state = self.lock();
        let open: Vec<_> = state.open(owner);
        if open.is_empty() {
            return;
        }
        let index = open[random.below(open.len())];
        match random.below(12) {
            // The request lands and its answer is lost: the sender will try again.
            0 => drop(state.apply(index)),
            // The request is stuck on the way, and the sender tries again.
            1 => {
                if let Call::Create(object) = state.pending[index].call.clone() {
                    state.late.push(object);
                }
            }
            // The request was refused, or never arrived: the sender will try again.
            2 => {}
            _ => {
                let answer = state.apply(index);
                state.pending[index].answer = Some(answer);
            }
        }
    }

    /// The owner's first open request lands.
    pub(crate) fn land_one(&self, owner: usize) {
        let mut state = self.lock();
        if let Some(&index) = state.open(owner).first() {
            let answer = state.apply(index);
            state.pending[index].answer = Some(answer);
        }
    }

    /// The owner dies. What it had sent may still arrive.
    pub(crate) fn crash(&self, owner: usize, random: &mut Random) {
        let mut state = self.lock();
        let (dead, alive) =
            std::mem::take(&mut state.pending).into_iter().partition(|request| request.owner == owner);
        state.pending = alive;
        for request in dead {
            if let (Call::Create(object), None, 0) = (request.call, request.answer, random.below(2)) {
                state.late.push(object);
            }
        }
    }

    pub(crate) fn land_late(&self, random: &mut Random) {
        let mut state = self.lock();
        if !state.late.is_empty() {
            let index = random.below(state.late.len());
            let object = state.late.swap_remove(index);
            state.create(&object);
        }
    }

    pub(crate) fn land_all(&self) {
        let mut state = self.lock();
        for object in std::mem::take(&mut state.late) {
            state.create(&object);
        }
    }

    /// Deletes one object of a range that starts at `start` or before.
    pub(crate) fn delete_object_up_to(&self, start: i64, random: &mut Random) {
        let mut state = self.lock();
        let entries = state
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with("ledger/") && !key.ends_with("genesis.json"));
        let entries = entries.filter_map(|(key, object)| Entry::parse(key, &object.body).ok());
        let keys: Vec<_> = entries
            .filter(|entry| entry.start <= start)
            .flat_map(|entry| entry.objects().iter().map(|object| object.key.clone()).collect::<Vec<_>>())
            .collect();
        if !keys.is_empty() {
            let key = keys[random.below(keys.len())].clone();
            if state.objects.remove(&key).is_some() {
                state.deleted.push(key);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while it was held")
    }
}

impl State {
    fn open(&self, owner: usize) -> Vec<usize> {
        let open = |request: &Request| request.owner == owner && request.answer.is_none();
        (0..self.pending.len()).filter(|index| open(&self.pending[*index])).collect()
    }

    fn create(&mut self, object: &NewObject) -> Created {
        if self.objects.contains_key(&object.key) && self.bug != Some(Bug::Overwrites) {
            return Created::Taken;
        }
        self.objects.insert(object.key.clone(), object.clone());
        Created::New
    }

    fn apply(&mut self, index: usize) -> Answer {
        match self.pending[index].call.clone() {
            Call::Create(object) => Answer::Create(self.create(&object)),
            Call::Get(key) => Answer::Get(self.objects.get(&key).cloned()),
            Call::List { prefix, after } => {
                let listed = self.objects.keys().filter(|key| key.starts_with(&prefix));
                let mut keys: Vec<_> =
                    listed.filter(|key| after.as_ref().is_none_or(|after| *key > after)).cloned().collect();
                if self.bug == Some(Bug::StaleLists) {
                    keys.retain(|key| !key.ends_with("genesis.json"));
                    keys.pop();
                }
                Answer::List(keys)
            }
        }
    }
}

impl Connection {
    pub(crate) fn id(&self) -> usize {
        self.owner
    }

    async fn ask(&self, call: Call) -> Answer {
        let id = {
            let mut state = self.bucket.lock();
            state.next_id += 1;
            let id = state.next_id;
            state.pending.push(Request { id, owner: self.owner, call, answer: None });
            id
        };
        poll_fn(|_| {
            let mut state = self.bucket.lock();
            let index = state.pending.iter().position(|request| request.id == id && request.answer.is_some());
            match index.and_then(|index| state.pending.swap_remove(index).answer) {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending,
            }
        })
        .await
    }
}

impl Store for Connection {
    async fn create(&self, object: &NewObject) -> Created {
        let Answer::Create(created) = self.ask(Call::Create(object.clone())).await else { panic!() };
        created
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        let Answer::Get(object) = self.ask(Call::Get(key.to_owned())).await else { panic!() };
        object.map(|object| object.body)
    }

    async fn head(&self, key: &str) -> Option<Head> {
        let Answer::Get(object) = self.ask(Call::Get(key.to_owned())).await else { panic!() };
        object.map(|object| Head {
            size: object.body.len() as u64,
            checksum: checksum(&object),
            forgotten: None,
        })
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Vec<String> {
        let call = Call::List { prefix: prefix.to_owned(), after: after.map(str::to_owned) };
        let Answer::List(keys) = self.ask(call).await else { panic!() };
        keys
    }
}

/// The content checksum in an object's metadata.
pub(crate) fn checksum(object: &NewObject) -> Option<Checksum> {
    let (_, text) = object.metadata.iter().find(|(name, _)| *name == CHECKSUM)?;
    text.parse().ok()
}
