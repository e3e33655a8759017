//! Asks every replica for its health and its metrics, once a second.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Client;
use service::clock::monotonic;
use tokio::time::MissedTickBehavior;

use super::address::{Address, Service};
use super::picture::Seen;
use super::replicas::{Answer, Said};
use super::sample::{Sample, Trouble, troubles};
use super::{Eyes, SECOND};

/// How long a replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks for replicas that nobody knows yet.
const LOOK: Duration = Duration::from_secs(3);
/// One that does not answer any more is asked for so long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// A replica that has answered.
struct Known {
    name: String,
    answered: Instant,
}

pub(super) async fn poll(addresses: [(Service, Address); 3], eyes: Eyes) {
    // Everything here is near: no proxy.
    let client = Client::builder().no_proxy().timeout(PATIENCE).build().unwrap_or_default();
    let mut known = BTreeMap::<(Service, SocketAddr), Known>::new();
    let mut looked = None::<Instant>;
    let mut seconds = tokio::time::interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let now = monotonic();
        known.retain(|_, known| now.duration_since(known.answered) < REMEMBERED);
        let mut asked: BTreeMap<_, _> = known.iter().map(|(at, known)| (*at, known.name.clone())).collect();
        if looked.is_none_or(|at| now.duration_since(at) >= LOOK) {
            looked = Some(now);
            for (service, address) in &addresses {
                let hosts = hosts(address).await;
                let places = address.places(*service, &hosts).into_iter();
                asked.extend(places.map(|(at, name)| ((*service, at), name)));
            }
        }
        let answers = asked.into_iter().map(|((service, at), name)| ask(&client, service, at, name));
        let answers = join_all(answers).await;
        for answer in answers.iter().filter(|answer| answer.said.is_ok()) {
            let (name, answered) = (answer.name.clone(), monotonic());
            known.insert((answer.service, answer.at), Known { name, answered });
        }
        if eyes.send(Seen::Replicas(answers)).is_err() {
            return;
        }
    }
}

/// Every address of a host, once and in order: none while its name is not known.
async fn hosts(address: &Address) -> Vec<IpAddr> {
    let found = tokio::net::lookup_host((address.host.as_str(), address.first)).await;
    let mut hosts: Vec<_> = found.into_iter().flatten().map(|at| at.ip()).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

async fn ask(client: &Client, service: Service, at: SocketAddr, name: String) -> Answer {
    let said = said(client, service, at).await.map_err(|error| cause(&error));
    Answer { service, at, name, said }
}

async fn said(client: &Client, service: Service, at: SocketAddr) -> reqwest::Result<Said> {
    let get = async |path| client.get(format!("http://{at}{path}")).send().await;
    let metrics = get("/metrics").await?.error_for_status()?.text().await?;
    let health = get("/actuator/health").await?.bytes().await?;
    let troubles = troubles(&health).unwrap_or_else(|_| {
        vec![Trouble { component: "health".to_owned(), words: "does not say how it is".to_owned() }]
    });
    Ok(Said { sample: Sample::parse(service, &metrics), troubles })
}

/// The innermost cause: `Connection refused`, not "error sending request for url".
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
