//! Who is there: every replica that answers, and those that did a moment ago.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::address::Service;
use super::rates::{Totals, increase};
use super::sample::{Counter, Sample, Trouble};

/// How long one that does not answer any more stays listed.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Over how long CPU time is taken.
const CPU_SPAN: Duration = Duration::from_secs(10);

/// What came of asking one replica.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) service: Service,
    pub(crate) at: SocketAddr,
    pub(crate) name: String,
    /// What it said, or why it did not.
    pub(crate) said: Result<Said, String>,
}

/// What a replica says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) sample: Sample,
    /// What is wrong, in its own words.
    pub(crate) troubles: Vec<Trouble>,
}

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// It says that something is wrong.
    Down,
    /// It was told to stop.
    Stopping,
    /// It does not answer any more.
    Gone,
    /// It does not answer any more, and had said that it would.
    Left,
}

/// One replica.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) state: State,
    /// Since when it is so.
    pub(crate) since: Instant,
    /// What it said last.
    pub(crate) said: Said,
    /// Why it does not answer.
    pub(crate) silence: Option<String>,
    /// How often its counters began again while we looked.
    pub(crate) restarts: u32,
    cpu: VecDeque<(Instant, f64)>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    known: BTreeMap<(Service, SocketAddr), Replica>,
    /// What they have counted since we began to look.
    pub(crate) totals: Totals,
}

impl Replicas {
    /// Takes in what all that were asked have answered at `now`.
    pub(crate) fn take(&mut self, now: Instant, answers: Vec<Answer>) {
        for Answer { service, at, name, said } in answers {
            match (said, self.known.get_mut(&(service, at))) {
                (Ok(said), Some(replica)) => {
                    self.totals.add(&replica.said.sample, &said.sample);
                    replica.answered(now, name, said);
                }
                (Ok(said), None) => drop(self.known.insert((service, at), Replica::new(now, name, said))),
                (Err(silence), Some(replica)) => replica.is_silent(now, silence),
                // A port where nobody listens is no replica.
                (Err(_), None) => {}
            }
        }
        self.known.retain(|_, replica| !replica.is_away() || now.duration_since(replica.since) < REMEMBERED);
    }

    /// Those of a service, by address.
    pub(crate) fn of(&self, service: Service) -> impl Iterator<Item = (SocketAddr, &Replica)> {
        let of = self.known.iter().filter(move |((other, _), _)| *other == service);
        of.map(|((_, at), replica)| (*at, replica))
    }

    /// What those that answer say now.
    pub(crate) fn samples(&self) -> impl Iterator<Item = &Sample> {
        let there = self.known.values().filter(|replica| !replica.is_away());
        there.map(|replica| &replica.said.sample)
    }
}

impl Replica {
    fn new(now: Instant, name: String, said: Said) -> Self {
        let (state, cpu) = (state(&said.troubles), VecDeque::new());
        let mut replica = Self { name, state, since: now, said, silence: None, restarts: 0, cpu };
        replica.note_cpu(now);
        replica
    }

    fn answered(&mut self, now: Instant, name: String, said: Said) {
        let cpu = |sample: &Sample| sample.counter(Counter::Cpu);
        if cpu(&said.sample) < cpu(&self.said.sample) {
            self.restarts += 1;
        }
        self.change(now, state(&said.troubles));
        (self.name, self.said, self.silence) = (name, said, None);
        self.note_cpu(now);
    }

    fn is_silent(&mut self, now: Instant, silence: String) {
        let state =
            if matches!(self.state, State::Stopping | State::Left) { State::Left } else { State::Gone };
        self.change(now, state);
        self.silence = Some(silence);
    }

    fn change(&mut self, now: Instant, state: State) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }

    fn note_cpu(&mut self, now: Instant) {
        self.cpu.push_back((now, self.said.sample.counter(Counter::Cpu)));
        while self.cpu.len() > 2 && now.duration_since(self.cpu[0].0) > CPU_SPAN {
            self.cpu.pop_front();
        }
    }

    /// Whether it does not answer.
    pub(crate) const fn is_away(&self) -> bool {
        matches!(self.state, State::Gone | State::Left)
    }

    /// How many cores it keeps busy.
    pub(crate) fn cores(&self) -> Option<f64> {
        let ((from, before), (to, after)) = (self.cpu.front()?, self.cpu.back()?);
        let seconds = to.duration_since(*from).as_secs_f64();
        (seconds > 0.0).then(|| increase(*before, *after) / seconds)
    }
}

fn state(troubles: &[Trouble]) -> State {
    match troubles {
        [] => State::Up,
        troubles if troubles.iter().any(Trouble::is_stop) => State::Stopping,
        _ => State::Down,
    }
}

#[cfg(test)]
mod tests {
    use service::clock::monotonic;

    use super::*;

    fn answer(said: Result<Said, String>) -> Vec<Answer> {
        let at = "127.0.0.1:8381".parse().unwrap();
        vec![Answer { service: Service::S3Sink, at, name: "s3-sink-1".to_owned(), said }]
    }

    fn said(objects: f64, cpu: f64, trouble: Option<(&str, &str)>) -> Result<Said, String> {
        let counters = [(Counter::Objects, objects), (Counter::Cpu, cpu)].into();
        let trouble = trouble
            .map(|(component, words)| Trouble { component: component.to_owned(), words: words.to_owned() });
        let sample = Sample { counters, ..Sample::default() };
        Ok(Said { sample, troubles: trouble.into_iter().collect() })
    }

    fn refused() -> Result<Said, String> {
        Err("connection refused".to_owned())
    }

    fn only(replicas: &Replicas) -> &Replica {
        replicas.of(Service::S3Sink).next().unwrap().1
    }

    #[test]
    fn one_that_is_gone_stays_listed_for_a_minute_and_may_come_back() {
        let (start, second) = (monotonic(), Duration::from_secs(1));
        let mut replicas = Replicas::default();
        replicas.take(start, answer(refused()));
        assert_eq!(replicas.of(Service::S3Sink).count(), 0, "a port where nobody listens is no replica");
        replicas.take(start, answer(said(10.0, 5.0, None)));
        replicas.take(start + second, answer(said(14.0, 5.5, None)));
        assert_eq!(only(&replicas).cores(), Some(0.5));
        replicas.take(start + 2 * second, answer(refused()));
        let gone = only(&replicas);
        assert_eq!(
            (gone.state, gone.since, replicas.samples().count()),
            (State::Gone, start + 2 * second, 0)
        );
        replicas.take(start + 3 * second, answer(said(3.0, 0.1, None)));
        assert_eq!((only(&replicas).state, only(&replicas).restarts), (State::Up, 1));
        assert_eq!(replicas.totals.counter(Counter::Objects), 7.0);
        replicas.take(start + 4 * second, answer(refused()));
        replicas.take(start + 64 * second, answer(refused()));
        assert_eq!(replicas.of(Service::S3Sink).count(), 0);
    }

    #[test]
    fn one_that_said_it_would_stop_has_left() {
        let start = monotonic();
        let mut replicas = Replicas::default();
        replicas.take(start, answer(said(0.0, 0.0, Some(("s3", "no such bucket")))));
        assert_eq!(only(&replicas).state, State::Down);
        replicas.take(start, answer(said(0.0, 0.0, Some(("readinessState", "stopping")))));
        assert_eq!(only(&replicas).state, State::Stopping);
        for _ in 0..2 {
            replicas.take(start, answer(refused()));
            assert_eq!(only(&replicas).state, State::Left);
        }
    }
}
