//! A broker of a few lines stands in for Kafka: the real one names no broker for some milliseconds only, and rarely.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::look;
use crate::kafka::LogOnly;

const TIMEOUT: Duration = Duration::from_millis(50);
/// Without the bootstrap servers given again the client was lost by round 9 in 8 of 8 runs.
const ROUNDS: usize = 20;
/// Together they take ten seconds. A client that is not lost is back within librdkafka's pause between connections.
const LOOKS: usize = 200;

const API_VERSIONS: i16 = 18;
const METADATA: i16 = 3;
const UNSUPPORTED_VERSION: i16 = 35;

#[test]
fn a_client_gets_back_to_a_cluster_that_named_no_broker_for_a_moment() {
    let broker = Broker::start();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.address).set("reconnect.backoff.max.ms", "100");
    let consumer: BaseConsumer<LogOnly> = crate::kafka::create(&config, LogOnly).unwrap();
    let brokers = || look(consumer.client(), TIMEOUT).ok().map(|metadata| metadata.brokers().len());
    for round in 0..ROUNDS {
        for (names_itself, count) in [(true, 1), (false, 0)] {
            broker.names_itself.store(names_itself, Ordering::SeqCst);
            assert!((0..LOOKS).any(|_| brokers() == Some(count)), "lost for good in round {round}");
        }
    }
}

struct Broker {
    address: String,
    names_itself: Arc<AtomicBool>,
}

impl Broker {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let names_itself = Arc::new(AtomicBool::new(true));
        let names = Arc::clone(&names_itself);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let names = Arc::clone(&names);
                std::thread::spawn(move || serve(connection.unwrap(), port, &names));
            }
        });
        Self { address: format!("127.0.0.1:{port}"), names_itself }
    }
}

/// Answers until the client closes the connection.
fn serve(mut connection: TcpStream, port: u16, names_itself: &AtomicBool) -> Option<()> {
    loop {
        let mut length = [0; 4];
        connection.read_exact(&mut length).ok()?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        connection.read_exact(&mut request).ok()?;
        let [key, version] = [0, 2].map(|at| i16::from_be_bytes([request[at], request[at + 1]]));
        let mut answer = Answer(request[4..8].to_vec());
        match (key, version) {
            (API_VERSIONS, 0) => answer.i16(0).api_versions(),
            // As version 0 whatever was asked for (KIP-511).
            (API_VERSIONS, _) => answer.i16(UNSUPPORTED_VERSION).api_versions(),
            (METADATA, 1) => answer.metadata(port, names_itself.load(Ordering::SeqCst)),
            other => panic!("asked for {other:?}"),
        };
        connection.write_all(&u32::try_from(answer.0.len()).unwrap().to_be_bytes()).ok()?;
        connection.write_all(&answer.0).ok()?;
    }
}

/// A response of the Kafka protocol, after its length.
struct Answer(Vec<u8>);

impl Answer {
    fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn string(&mut self, text: &str) -> &mut Self {
        self.i16(i16::try_from(text.len()).unwrap());
        self.0.extend(text.as_bytes());
        self
    }

    fn api_versions(&mut self) -> &mut Self {
        self.i32(2).i16(API_VERSIONS).i16(0).i16(0).i16(METADATA).i16(1).i16(1)
    }

    /// Version 1, with a topic that has no partition.
    fn metadata(&mut self, port: u16, names_itself: bool) -> &mut Self {
        const NO_RACK: i16 = -1;
        match names_itself {
            true => self.i32(1).i32(1).string("127.0.0.1").i32(port.into()).i16(NO_RACK).i32(1),
            false => self.i32(0).i32(-1),
        };
        self.i32(1).i16(0).string("pageviews");
        self.0.push(0);
        self.i32(0)
    }
}
