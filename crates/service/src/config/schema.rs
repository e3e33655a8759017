//! Every key of every service, with its default and what it does: the one list that is read, checked and documented.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::topic;

use super::keys::{Keys, Mistake, Reference, is_secret};
use super::layers::Layers;
use super::rules;
use super::setting::{Bytes, Format, GroupProtocol, Origin, RateLimit};

/// The configuration of a process.
#[derive(Debug, Clone)]
pub struct Config {
    /// `server.*`
    pub server: Server,
    /// `kafka.*`
    pub kafka: Kafka,
    /// `pipeline.*`
    pub pipeline: Pipeline,
    /// `aws.*`
    pub aws: Aws,
    /// `sink.*`
    pub sink: Sink,
    /// `ingest.*`
    pub ingest: Ingest,
    /// `shutdown.*`
    pub shutdown: Shutdown,
    /// `metrics.cloudwatch.*`
    pub cloudwatch: CloudWatch,
    /// Every key with its value as text, secrets left out: what `--check-config` prints.
    pub effective: Vec<(String, String)>,
}

/// Where this process listens.
#[derive(Debug, Clone)]
pub struct Server {
    /// Address to listen on.
    pub host: String,
    /// Port of the API, or of health and metrics where there is no API.
    pub port: u16,
    /// A port of its own for health and metrics.
    pub management_port: Option<u16>,
}

/// How to reach Kafka.
#[derive(Clone)]
pub struct Kafka {
    /// `host:port`, several separated by commas.
    pub bootstrap_servers: String,
    /// The rebalance protocol of our groups.
    pub group_protocol: GroupProtocol,
    /// Whether members keep their partitions over a restart (KIP-345).
    pub static_membership: bool,
    /// Passed through to librdkafka.
    pub properties: BTreeMap<String, String>,
}

/// Topics, and how events are counted.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Topic of events.
    pub pageviews_topic: String,
    /// Topic of counts.
    pub aggregates_topic: String,
    /// Topic of late counts.
    pub late_topic: String,
    /// Topic of what could not be counted.
    pub dead_letters_topic: String,
    /// Consumer group of the aggregator, and prefix of its transactional ids.
    pub group_id: String,
    /// What tells this replica from the others, for ever; `None` is a random one each start.
    pub instance_id: Option<String>,
    /// Counting threads of one process.
    pub threads: usize,
    /// When windows close.
    pub window: Window,
    /// How far an event may be ahead of the clock.
    pub max_future_skew: Duration,
}

/// When windows close.
#[derive(Debug, Clone)]
pub struct Window {
    /// How long after its end a window waits for stragglers, in event time.
    pub grace: Duration,
    /// How long event time must stand still before the wall clock closes windows.
    pub idle_timeout: Duration,
    /// Memory that the open windows of a process may take before partial rows are written.
    pub memory_limit: Bytes,
    /// How far behind the last record the first one of an open window may be, in record time.
    pub max_open: Duration,
}

/// How to reach AWS.
#[derive(Debug, Clone)]
pub struct Aws {
    /// Region of the bucket.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// Another endpoint than AWS's, for emulators.
    pub endpoint_override: Option<String>,
}

/// What is written to S3, and how.
#[derive(Debug, Clone)]
pub struct Sink {
    /// Events, into `raw/`.
    pub raw: Writer,
    /// Counts, into `aggregates/`.
    pub aggregates: Writer,
    /// Late counts, into `late/`.
    pub late: Writer,
    /// Dead letters, into `dead-letter/topic/`.
    pub dead_letters: Writer,
    /// Memory of everything buffered, all writers together.
    pub memory_limit: Bytes,
    /// Raised when topics were recreated: prefixes everything.
    pub epoch: Option<usize>,
    /// S3 storage class of objects.
    pub storage_class: Option<String>,
    /// S3 server-side encryption of objects.
    pub sse: Option<String>,
}

/// One writer of the sink.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Whether it runs.
    pub enabled: bool,
    /// How objects are encoded.
    pub format: Format,
    /// The longest a record waits for its object.
    pub flush_interval: Duration,
    /// The size an object is cut at, encoded.
    pub flush_bytes: Bytes,
}

/// The HTTP API.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// How long a request waits for Kafka before it is answered 503.
    pub delivery_timeout: Duration,
    /// Bytes of events handed to Kafka and not acknowledged, past which requests are answered 503 at once.
    pub max_in_flight_bytes: Bytes,
    /// How old an event may be; `None` is any age.
    pub max_past: Option<Duration>,
    /// Connections that are served at a time.
    pub max_connections: usize,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// Of how many requests that went well one is logged; zero is none.
    pub access_log_every: usize,
    /// File of API keys.
    pub api_keys_file: Option<PathBuf>,
    /// Origins allowed by CORS.
    pub cors_origins: Vec<Origin>,
    /// How often each caller may send a request.
    pub rate_limit: Option<RateLimit>,
    /// Proxies in front whose `X-Forwarded-For` is believed.
    pub trusted_hops: usize,
    /// TLS certificate chain.
    pub tls_cert: Option<PathBuf>,
    /// TLS private key.
    pub tls_key: Option<PathBuf>,
}

/// How a process stops.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// How long it may take.
    pub grace: Duration,
    /// How long readiness is down before connections are closed.
    pub drain_delay: Duration,
}

/// Metrics sent to CloudWatch.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    /// Whether they are sent.
    pub enabled: bool,
    /// The namespace.
    pub namespace: String,
    /// How often.
    pub step: Duration,
    /// Another endpoint than AWS's.
    pub endpoint_override: Option<String>,
}

/// Properties of librdkafka that exactly-once, or a bound on memory, rests on.
const OURS: [&str; 27] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queued.max.messages.kbytes",
    "request.required.acks",
    "retries",
    "transaction.timeout.ms",
    "transactional.id",
];

pub(super) fn read(layers: Layers, default_port: u16) -> Result<Config, Vec<Mistake>> {
    let mut keys = Keys::new(layers);
    let mut config = declare(&mut keys, default_port);
    rules::check(&mut keys, &config);
    config.effective = keys.finish()?;
    for (key, value) in &mut config.effective {
        if key == "server.port" && value.is_empty() {
            *value = config.server.port.to_string();
        }
    }
    Ok(config)
}

/// Every key, in the order of the documentation.
#[must_use]
pub fn reference() -> Vec<Reference> {
    let mut keys = Keys::new(Layers::default());
    declare(&mut keys, 0);
    keys.known()
}

fn declare(keys: &mut Keys, default_port: u16) -> Config {
    Config {
        server: Server {
            host: keys.read("server.host", "0.0.0.0", "Address to listen on"),
            port: keys
                .read::<Option<u16>>(
                    "server.port",
                    "",
                    "Empty: 8080 ingest-api, 8081 aggregator, 8082 s3-sink",
                )
                .unwrap_or(default_port),
            management_port: keys.read(
                "server.management_port",
                "",
                "A port of its own for health and metrics; empty: they are on server.port too",
            ),
        },
        kafka: Kafka {
            bootstrap_servers: keys.read(
                "kafka.bootstrap_servers",
                "localhost:9092",
                "Brokers as host:port, several separated by commas",
            ),
            group_protocol: keys.read(
                "kafka.group_protocol",
                "classic",
                "classic (cooperative-sticky) or consumer (KIP-848)",
            ),
            static_membership: keys.read(
                "kafka.static_membership",
                "false",
                "Members keep their partitions over a restart (KIP-345); needs pipeline.instance_id",
            ),
            properties: keys.properties(&OURS),
        },
        pipeline: pipeline(keys),
        aws: Aws {
            region: keys.read("aws.region", "eu-west-2", "Region of the bucket"),
            bucket: keys.read("aws.s3.bucket_name", "pageview-data", "The bucket"),
            endpoint_override: keys.read(
                "aws.s3.endpoint_override",
                "",
                "URL of an S3 emulator; empty: AWS itself",
            ),
        },
        sink: sink(keys),
        ingest: ingest(keys),
        shutdown: Shutdown {
            grace: keys.read("shutdown.grace", "20s", "How long a stop may take"),
            drain_delay: keys.read(
                "shutdown.drain_delay",
                "2s",
                "How long ingest-api goes on serving after readiness went down",
            ),
        },
        cloudwatch: CloudWatch {
            enabled: keys.read("metrics.cloudwatch.enabled", "false", "Send metrics to CloudWatch"),
            namespace: keys.read("metrics.cloudwatch.namespace", "PageviewPipeline", "Their namespace"),
            step: keys.read("metrics.cloudwatch.step", "60s", "How often they are sent"),
            endpoint_override: keys.read(
                "metrics.cloudwatch.endpoint_override",
                "",
                "URL of a CloudWatch emulator; empty: that of aws.s3.endpoint_override, or else AWS itself",
            ),
        },
        effective: Vec::new(),
    }
}

fn pipeline(keys: &mut Keys) -> Pipeline {
    Pipeline {
        pageviews_topic: keys.read("pipeline.pageviews_topic", topic::PAGEVIEWS, "Events"),
        aggregates_topic: keys.read(
            "pipeline.aggregates_topic",
            topic::AGGREGATES,
            "Counts of closed windows",
        ),
        late_topic: keys.read(
            "pipeline.late_topic",
            topic::LATE,
            "Counts that came after their window closed",
        ),
        dead_letters_topic: keys.read(
            "pipeline.dead_letters_topic",
            topic::DEAD_LETTERS,
            "What could not be counted",
        ),
        group_id: keys.read(
            "pipeline.group_id",
            topic::AGGREGATOR_GROUP,
            "Consumer group of the aggregator, prefix of its transactional ids",
        ),
        instance_id: keys.read(
            "pipeline.instance_id",
            "",
            "Tells this replica from all others, the same after a restart; empty: random",
        ),
        threads: keys.read("pipeline.stream.threads", "2", "Counting threads of one aggregator process"),
        window: Window {
            grace: keys.read(
                "pipeline.window.grace",
                "30s",
                "How long after its end a window waits for stragglers",
            ),
            idle_timeout: keys.read(
                "pipeline.window.idle_timeout",
                "30s",
                "How long event time stands still before the wall clock closes windows",
            ),
            memory_limit: keys.read(
                "pipeline.window.memory_limit",
                "512MiB",
                "Memory of a process's open windows, past which counts are written early, as partial rows",
            ),
            max_open: keys.read(
                "pipeline.window.max_open",
                "1h",
                "How far a restart may have to read back, in time of ingestion, before counts are written early",
            ),
        },
        max_future_skew: keys.read(
            "pipeline.max_future_skew",
            "5min",
            "How far an event's timestamp may be ahead of the clock",
        ),
    }
}

fn sink(keys: &mut Keys) -> Sink {
    const ENABLED: &str = "Whether this writer runs";
    const FORMAT: &str =
        "How objects are encoded: ndjson, ndjson.gz, ndjson.zst or parquet; dead letters always ndjson.gz";
    const INTERVAL: &str = "The longest a record waits for its object";
    const BYTES: &str = "Encoded size that an object is cut at";
    macro_rules! writer {
        ($name:literal) => {
            Writer {
                enabled: keys.read(concat!("sink.", $name, ".enabled"), "true", ENABLED),
                format: keys.read(concat!("sink.", $name, ".format"), "ndjson.gz", FORMAT),
                flush_interval: keys.read(concat!("sink.", $name, ".flush_interval"), "60s", INTERVAL),
                flush_bytes: keys.read(concat!("sink.", $name, ".flush_bytes"), "32MiB", BYTES),
            }
        };
    }
    Sink {
        raw: writer!("raw"),
        aggregates: writer!("aggregates"),
        late: writer!("late"),
        dead_letters: writer!("dead_letters"),
        memory_limit: keys.read(
            "sink.memory_limit",
            "256MiB",
            "Memory of all that is buffered, all writers together",
        ),
        epoch: keys.read("sink.epoch", "", "Raise it when topics were recreated: a new tree in the bucket"),
        storage_class: keys.read("sink.storage_class", "", "S3 storage class of the objects"),
        sse: keys.read("sink.sse", "", "Server-side encryption of the objects, such as AES256 or aws:kms"),
    }
}

fn ingest(keys: &mut Keys) -> Ingest {
    Ingest {
        delivery_timeout: keys.read(
            "ingest.delivery_timeout",
            "5s",
            "How long a request waits for Kafka before it is answered 503",
        ),
        max_in_flight_bytes: keys.read(
            "ingest.max_in_flight_bytes",
            "64MiB",
            "Bytes not yet acknowledged by Kafka, past which requests are answered 503 at once",
        ),
        max_past: keys.read("ingest.max_past", "", "How old an event may be; empty: any age"),
        max_connections: keys.read(
            "ingest.max_connections",
            "16384",
            "Connections that are served at a time; others wait to be accepted",
        ),
        keep_alive: keys.read(
            "ingest.keep_alive",
            "75s",
            "How long a connection without a request is kept: longer than the load balancer in front keeps it",
        ),
        access_log_every: keys.read(
            "ingest.access_log_every",
            "1000",
            "Of so many requests that went well one is logged, refused ones always, up to 50 a second and thread; 0: only those",
        ),
        api_keys_file: keys.read(
            "ingest.api_keys_file",
            "",
            "File of API keys, one a line, or a name and a key; read again when it changes; empty: no key is asked for",
        ),
        cors_origins: keys.read(
            "ingest.cors_origins",
            "",
            "Origins that browsers may post from, such as https://shop.example, separated by commas, or *",
        ),
        rate_limit: keys.read(
            "ingest.rate_limit",
            "",
            "Requests of each API key, or else address: 100/s, 600/min or 5000/h, and as many at once; empty: any number",
        ),
        trusted_hops: keys.read(
            "ingest.trusted_hops",
            "0",
            "Proxies in front, whose entries in X-Forwarded-For tell the client's address",
        ),
        tls_cert: keys.read(
            "ingest.tls_cert",
            "",
            "TLS certificate chain, PEM; read again when it changes; empty: plain HTTP",
        ),
        tls_key: keys.read("ingest.tls_key", "", "Its private key, PEM"),
    }
}

/// Prints what is set, but no secret.
impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value): (&String, &String)| {
            (name.clone(), if is_secret(name) { "(not shown)".to_owned() } else { value.clone() })
        };
        f.debug_struct("Kafka")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("group_protocol", &self.group_protocol)
            .field("static_membership", &self.static_membership)
            .field("properties", &self.properties.iter().map(shown).collect::<BTreeMap<_, _>>())
            .finish()
    }
}
