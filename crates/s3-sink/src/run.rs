//! The process: waits for what it depends on, claims its topics, and runs the writers until it is asked to stop.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use service::kafka::{self, LogEnds, LogOnly, cluster};
use service::{Component, Config, Process, Shutdown};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet, spawn_blocking};

use crate::bucket::Bucket;
use crate::budget::Budget;
use crate::consumer::Consumer;
use crate::encoders::Encoders;
use crate::identity::{self, Identity};
use crate::ledger::{self, Origin};
use crate::patient::{Patient, Reachability};
use crate::planner::Cuts;
use crate::tasks::Tasks;
use crate::writer::{Ended, Surroundings, Writer};
use crate::{Kind, metrics, protocol};

/// How long the cluster may take to say who it is.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before the cluster is asked again who it is.
const PAUSE: Duration = Duration::from_millis(500);
/// A writer looks after its health every second, unless it hangs in a call.
const HEALTH_IS_GOOD_FOR: Duration = Duration::from_secs(30);
/// What remains of the grace time when writers have given up: to leave the group.
const LEAVING: Duration = Duration::from_millis(500);

/// Why a sink ends that nobody stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The consumer cannot go on.
    #[error("writer {kind}: {source}")]
    Consumer {
        /// Whose.
        kind: Kind,
        /// Why.
        source: KafkaError,
    },
    /// The ledger in the bucket is that of another topic of the same name.
    #[error(
        "the ledger of topic {topic} in {bucket} belongs to topic id {} of cluster {}, and this is {} of {}: the topic \
         was created again, or another deployment writes here. Use another bucket, or raise sink.epoch for a new tree in \
         this one", theirs.topic_id, theirs.cluster_id, ours.topic_id, ours.cluster_id
    )]
    Foreign {
        /// The topic.
        topic: String,
        /// The bucket.
        bucket: String,
        /// Whose ledger it is.
        theirs: Box<Origin>,
        /// Who we are.
        ours: Box<Origin>,
    },
    /// A document of the ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// A client could not be made.
    #[error("the Kafka client cannot be made: {0}")]
    Client(KafkaError),
    /// The system has no thread left to encode on.
    #[error("the threads that encode cannot be started: {0}")]
    Encoders(std::io::Error),
    /// A thread died.
    #[error(transparent)]
    Thread(#[from] JoinError),
}

/// Runs the sink.
///
/// # Errors
/// [`enum@Error`], when going on makes no sense.
pub async fn run(process: Process) -> Result<(), Error> {
    let Process { config, health, shutdown, .. } = process;
    metrics::start_at_zero();
    let writers: Vec<_> = Kind::ALL.into_iter().filter(|kind| settings(*kind, &config).0.enabled).collect();
    let (kafka, s3) = (health.component("kafka"), health.component("s3"));
    let partitions = health.component("partitions");
    if writers.is_empty() {
        tracing::warn!("no writer is enabled: nothing to do but to wait");
        [kafka, s3, partitions].iter().for_each(Component::up);
        shutdown.wait().await;
        return Ok(());
    }
    let bucket = Bucket::connect(&config).await;
    let reachability = Reachability::new(s3);
    let store = Patient::new(bucket.clone(), writers[0], reachability.clone());
    let topics: Vec<_> = writers.iter().map(|kind| settings(*kind, &config).1.to_owned()).collect();
    let ready = async {
        let ((), origins) = tokio::join!(
            reachability.wait_for(&bucket),
            identify(&config, topics, kafka.clone(), shutdown.clone())
        );
        let origins = origins?;
        for origin in &origins {
            claim(&store, &bucket, origin).await?;
        }
        Ok::<_, Error>(origins)
    };
    let origins = tokio::select! {
        ready = ready => ready?,
        () = shutdown.wait() => return Ok(()),
    };

    let budget = Arc::new(Budget::new(config.sink.memory_limit.0, writers.len()));
    let asked = bucket.clone();
    tokio::spawn(async move { reachability.keep_asking(&asked).await });
    let names: Vec<_> = writers.iter().map(|kind| kind.name()).chain(["log"]).collect();
    let split = |component: Component, names: &[&str]| {
        let component = component.good_for(HEALTH_IS_GOOD_FOR);
        component.split(names.iter().copied(), "has not joined its group yet")
    };
    let mut kafka = split(kafka, &names);
    let log = kafka.remove(writers.len());
    let health = kafka.into_iter().zip(split(partitions, &names[..writers.len()]));
    let topics = origins.iter().map(|origin| origin.topic.clone()).collect();
    let ends = LogEnds::watch(&config, writers[0].group_id(), topics, log, shutdown.clone());
    let ends = ends.map_err(Error::Client)?;
    let encoders = Encoders::start().map_err(Error::Encoders)?;
    let mut threads = JoinSet::new();
    for ((kind, origin), (kafka, partitions)) in writers.into_iter().zip(origins).zip(health) {
        let tasks = Tasks::new(store.with(kind), Arc::clone(&budget), encoders.clone(), Handle::current());
        let surroundings = Surroundings {
            budget: Arc::clone(&budget),
            kafka,
            partitions,
            ends: ends.clone(),
            shutdown: shutdown.clone(),
            grace: config.shutdown.grace.saturating_sub(LEAVING),
        };
        let config = config.clone();
        threads.spawn_blocking(move || write(kind, &config, origin, tasks, surroundings));
    }
    while let Some(ended) = threads.join_next().await {
        match ended? {
            Ok(()) => {}
            Err((kind, Ended::Consumer(source))) => return Err(Error::Consumer { kind, source }),
            Err((_, Ended::Foreign { claimed, found })) => return Err(foreign(&bucket, claimed, found)),
        }
    }
    Ok(())
}

/// The thread of one writer, which drains the topic `origin`.
fn write(
    kind: Kind,
    config: &Config,
    origin: Origin,
    tasks: Tasks,
    surroundings: Surroundings,
) -> Result<(), (Kind, Ended)> {
    let (writer, topic) = settings(kind, config);
    let mut client = kafka::consumer_config(config, kind.group_id());
    client
        // The ledger says where to start: an offset that is not in the log is an error, never a jump.
        .set("auto.offset.reset", "error")
        .set("queued.max.messages.kbytes", (surroundings.budget.prefetch() >> 10).to_string());
    // As fast as larger ones, and 41 MB of memory (DESIGN section 7).
    kafka::default_to(&mut client, "fetch.message.max.bytes", "262144");
    // Of each partition. 100,000, as by default, take more memory while it catches up, and are no faster.
    kafka::default_to(&mut client, "queued.min.messages", "10000");
    if config.kafka.static_membership
        && let Some(instance) = &config.pipeline.instance_id
    {
        client.set("group.instance.id", format!("{kind}-{instance}"));
    }
    let consumer = Consumer::subscribe(&client, topic).map_err(|source| (kind, Ended::Consumer(source)))?;
    let size = usize::try_from(writer.flush_bytes.0).unwrap_or(usize::MAX);
    let cuts = Cuts { size, age: writer.flush_interval, format: writer.format };
    let writer = Writer::new(kind, Identity::new(origin), cuts, consumer, tasks, surroundings);
    writer.run().map_err(|ended| (kind, ended))
}

/// Who the topics are, once the cluster answers and all of them exist.
async fn identify(
    config: &Config,
    topics: Vec<String>,
    health: Component,
    shutdown: Shutdown,
) -> Result<Vec<Origin>, Error> {
    let client = kafka::consumer_config(config, Kind::Raw.group_id());
    let origins = spawn_blocking(move || {
        let client: BaseConsumer<LogOnly> = kafka::create(&client, LogOnly).map_err(Error::Client)?;
        let names: Vec<_> = topics.iter().map(String::as_str).collect();
        loop {
            if !kafka::wait_for_topics(client.client(), &names, &health, &shutdown) {
                return Ok(Vec::new());
            }
            match origins(&client, &topics) {
                Ok(origins) => {
                    health.down("the topics are there; waiting for S3");
                    return Ok(origins);
                }
                Err(error) => health.down(error.to_string()),
            }
            pause();
        }
    });
    origins.await?
}

#[expect(
    clippy::disallowed_methods,
    reason = "a request that is refused at once must not be sent without end"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn origins(client: &BaseConsumer<LogOnly>, topics: &[String]) -> Result<Vec<Origin>, cluster::Error> {
    topics.iter().map(|topic| identity::ask(client.client(), topic, TIMEOUT)).collect()
}

async fn claim(store: &Patient, bucket: &Bucket, ours: &Origin) -> Result<(), Error> {
    let theirs = protocol::claim(store, ours).await?;
    if theirs == *ours {
        return Ok(());
    }
    Err(foreign(bucket, Box::new(theirs), Box::new(ours.clone())))
}

fn foreign(bucket: &Bucket, theirs: Box<Origin>, ours: Box<Origin>) -> Error {
    let (topic, bucket) = (ours.topic.clone(), bucket.to_string());
    Error::Foreign { topic, bucket, theirs, ours }
}

fn settings(kind: Kind, config: &Config) -> (&service::config::Writer, &str) {
    let (sink, pipeline) = (&config.sink, &config.pipeline);
    match kind {
        Kind::Raw => (&sink.raw, &pipeline.pageviews_topic),
        Kind::Aggregates => (&sink.aggregates, &pipeline.aggregates_topic),
        Kind::Late => (&sink.late, &pipeline.late_topic),
        Kind::DeadLetters => (&sink.dead_letters, &pipeline.dead_letters_topic),
    }
}
