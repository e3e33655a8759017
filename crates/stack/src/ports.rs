//! Which process listens where.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use crate::error::{Context, Error, Result};
use crate::{Replica, Service, launch, procfs};

/// The port plan of one stack.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Of each Kafka broker that there may be; the first ones are used.
    kafka: [KafkaPorts; 3],
    /// How many of them are.
    brokers: usize,
    /// The AWS emulator.
    pub s3: u16,
    /// The API, shared by all replicas of ingest-api (`SO_REUSEPORT`).
    pub api: u16,
    /// Replica 1 of the aggregator and of the sink have a second, well-known port.
    first: [u16; 2],
    /// Replica *i* of a service has `base + i` for its health and metrics.
    bases: [u16; 3],
    /// The most replicas of a service.
    pub limit: u16,
    /// The dashboard, where there is one.
    pub dashboard: u16,
    /// Keeps other test stacks away from this block for as long as a clone lives.
    _reservation: Option<Arc<File>>,
}

/// The ports of one Kafka broker, which is a controller too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KafkaPorts {
    pub(crate) clients: u16,
    pub(crate) quorum: u16,
}

impl KafkaPorts {
    const fn new(clients: u16, quorum: u16) -> KafkaPorts {
        KafkaPorts { clients, quorum }
    }
}

/// The ports that a replica is configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplicaPorts {
    pub(crate) server: u16,
    /// `None` when health and metrics are on the server's port.
    pub(crate) management: Option<u16>,
}

impl ReplicaPorts {
    /// Where health and metrics are.
    pub(crate) fn health(self) -> u16 {
        self.management.unwrap_or(self.server)
    }
}

/// Test stacks take blocks of this many ports...
const BLOCK: u16 = 64;
/// ...from a range below the one that Linux takes the ports of outgoing connections from: a service that is
/// killed must find its port free again.
const BLOCKS: std::ops::Range<u16> = 200..500;

impl Ports {
    /// The documented ports, for `make up`.
    pub fn local() -> Ports {
        Ports {
            kafka: [KafkaPorts::new(9092, 9093), KafkaPorts::new(9094, 9095), KafkaPorts::new(9096, 9097)],
            brokers: 1,
            s3: 4566,
            api: 8080,
            first: [8081, 8082],
            bases: [8180, 8280, 8380],
            limit: 50,
            dashboard: 8085,
            _reservation: None,
        }
    }

    /// A block of free ports that no other stack of this user takes while this process lives.
    pub fn reserve() -> Result<Ports> {
        let user = std::fs::metadata("/proc/self").map(|process| process.uid()).unwrap_or_default();
        let folder = std::env::temp_dir().join(format!("pageview-stack-ports-{user}"));
        std::fs::create_dir_all(&folder).context(|| format!("cannot create {}", folder.display()))?;
        for block in BLOCKS {
            let path = folder.join(block.to_string());
            let lock = File::create(&path).context(|| format!("cannot create {}", path.display()))?;
            let ports = Ports::block(block * BLOCK, Arc::new(lock));
            let locked = ports._reservation.as_ref().is_some_and(|lock| lock.try_lock().is_ok());
            if locked && (block * BLOCK..(block + 1) * BLOCK).all(is_free) {
                return Ok(ports);
            }
        }
        let first = BLOCKS.start * BLOCK;
        Err(Error::PortTaken {
            port: first,
            wanted_by: "a test stack".into(),
            held_by: ", like all others".into(),
        })
    }

    fn block(base: u16, lock: Arc<File>) -> Ports {
        Ports {
            kafka: [(0, 1), (6, 7), (8, 9)]
                .map(|(clients, quorum)| KafkaPorts::new(base + clients, base + quorum)),
            brokers: 1,
            s3: base + 2,
            api: base + 3,
            first: [base + 4, base + 5],
            bases: [base + 9, base + 27, base + 45],
            limit: 17,
            dashboard: base + 63,
            _reservation: Some(lock),
        }
    }

    /// The same, with so many Kafka brokers, 3 at most.
    pub(crate) fn with_brokers(self, brokers: usize) -> Ports {
        Ports { brokers: brokers.clamp(1, self.kafka.len()), ..self }
    }

    /// Kafka's, one a broker.
    pub(crate) fn kafka(&self) -> &[KafkaPorts] {
        &self.kafka[..self.brokers]
    }

    /// Where Kafka's clients begin.
    pub fn first_broker(&self) -> u16 {
        self.kafka[0].clients
    }

    /// Where health and metrics of a replica are.
    pub fn health(&self, service: Service, number: u16) -> u16 {
        self.of(Replica { service, number }).health()
    }

    /// Where health and metrics of all replicas that a service may have are, as `pageviews dashboard` is told it.
    pub(crate) fn all(&self, service: Service) -> String {
        format!("127.0.0.1:{}-{}", self.health(service, 1), self.health(service, self.limit))
    }

    pub(crate) fn of(&self, replica: Replica) -> ReplicaPorts {
        let [ingest, aggregator, sink] = self.bases;
        let (base, shared) = match (replica.service, replica.number) {
            (Service::IngestApi, _) => (ingest, Some(self.api)),
            (Service::Aggregator, 1) => (aggregator, Some(self.first[0])),
            (Service::S3Sink, 1) => (sink, Some(self.first[1])),
            (Service::Aggregator, _) => (aggregator, None),
            (Service::S3Sink, _) => (sink, None),
        };
        let own = base + replica.number;
        match shared {
            Some(server) => ReplicaPorts { server, management: Some(own) },
            None => ReplicaPorts { server: own, management: None },
        }
    }

    /// Every port that a stack with one replica of each service needs, and for what.
    pub(crate) fn needed(&self) -> Vec<(u16, String)> {
        let kafka = self.kafka().iter().flat_map(|broker| [broker.clients, broker.quorum]);
        let mut ports: Vec<_> = kafka.map(|port| (port, "kafka".into())).collect();
        ports.push((self.s3, "ministack (S3)".into()));
        for service in Service::ALL {
            let of = self.of(Replica { service, number: 1 });
            ports.push((of.server, service.to_string()));
            ports.extend(of.management.map(|port| (port, format!("{service} (health)"))));
        }
        ports
    }
}

/// Nobody listens on this port, on any address.
pub(crate) fn is_free(port: u16) -> bool {
    launch::apart_from_starts(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map(drop).is_ok())
}

/// Says who holds the first port that is not free.
pub(crate) fn check_free(ports: impl IntoIterator<Item = (u16, String)>) -> Result<()> {
    match ports.into_iter().find(|(port, _)| !is_free(*port)) {
        None => Ok(()),
        Some((port, wanted_by)) => {
            let held_by = procfs::listener(port).map(|(name, pid)| format!(" by {name} (pid {pid})"));
            Err(Error::PortTaken { port, wanted_by, held_by: held_by.unwrap_or_default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn of(service: Service, number: u16) -> (u16, Option<u16>) {
        let ports = Ports::local().of(Replica { service, number });
        (ports.server, ports.management)
    }

    #[test]
    fn the_documented_plan() {
        assert_eq!(of(Service::IngestApi, 1), (8080, Some(8181)));
        assert_eq!(of(Service::IngestApi, 3), (8080, Some(8183)));
        assert_eq!(of(Service::Aggregator, 1), (8081, Some(8281)));
        assert_eq!(of(Service::Aggregator, 2), (8282, None));
        assert_eq!(of(Service::S3Sink, 1), (8082, Some(8381)));
        assert_eq!(of(Service::S3Sink, 2), (8382, None));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_look_at_a_port_does_not_take_it_while_a_process_starts() {
        let ports = Ports::reserve().unwrap();
        let launcher = launch::Launcher { mark: "look".into(), hermetic: true };
        let starting = tokio::spawn(async move {
            for _ in 0..300 {
                let mut child = launch::spawn(launcher.command("true")).await.unwrap();
                child.wait().await.unwrap();
            }
        });
        while !starting.is_finished() {
            assert!(is_free(ports.first_broker()));
        }
        starting.await.unwrap();
    }

    #[test]
    fn test_stacks_do_not_meet() {
        let reserve = || Ports::reserve().unwrap().with_brokers(3);
        let (one, two) = (reserve(), reserve());
        let all = |ports: &Ports| -> HashSet<u16> {
            let replicas = Service::ALL.into_iter().flat_map(|service| {
                (1..=ports.limit).map(move |number| ports.of(Replica { service, number }).health())
            });
            let needed = ports.needed().into_iter().map(|(port, _)| port);
            replicas.chain(needed).chain([ports.dashboard]).collect()
        };
        // Two for each broker, S3, the API, two well-known ones, the dashboard, and one for each replica.
        assert_eq!(all(&one).len(), 11 + 3 * usize::from(one.limit));
        assert!(all(&one).is_disjoint(&all(&two)));
        let block = one.first_broker()..one.first_broker() + BLOCK;
        assert!(all(&one).iter().all(|port| block.contains(port)));
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let error = check_free([(port, "kafka".to_owned())]).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
    }
}
