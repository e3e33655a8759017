//! The pipeline as it runs, seen from outside: what `dashboard` and `watch` show.
//!
//! ```text
//! replicas -> poll    -> sample  -> replicas, rates -+
//! Kafka    -> waiting ------------------------------ |
//!          -> rows    -> top ----------------------- +-> picture -> shown: snapshot, verdict
//! S3       -> ledger  -> newest -------------------- |
//! S3, Kafka-> audit --------------------------------- +
//! ```
//! The shells on the left look, each at its own pace, and never end: what is away is looked for again. What they have
//! seen goes to one task, which owns the [`Picture`] and shows it once a second.

mod address;
mod audit;
mod ledger;
mod newest;
mod picture;
mod poll;
mod rates;
mod replicas;
mod rows;
mod sample;
mod shown;
pub(crate) mod snapshot;
mod top;
mod verdict;
mod waiting;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use s3_sink::bucket::Bucket;
use service::Config;
use service::clock::{monotonic, now};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::arguments::duration;
use address::{Address, Service};
use picture::{Moment, Picture, Seen, Settings};
use snapshot::Snapshot;

/// Between two snapshots, and between two questions to a replica.
const SECOND: Duration = Duration::from_secs(1);

/// Where to look, and how often to audit.
#[derive(Debug, Args)]
pub(crate) struct Sources {
    /// Where the replicas of ingest-api answer health and metrics: host:port or host:first-last. Every address of the
    /// host is asked, and looked up again; a port where nobody listens is no replica
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8181-8196")]
    ingest_api: Address,
    /// The same of the aggregator
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8281-8296")]
    aggregator: Address,
    /// The same of s3-sink
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8381-8396")]
    s3_sink: Address,
    /// The pause between two audits, or nine times as long as the last one took if that is longer; 0s is never. Each reads
    /// all of aggregates/ and late/
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    audit_every: Duration,
}

impl Sources {
    fn of(&self, service: Service) -> &Address {
        match service {
            Service::IngestApi => &self.ingest_api,
            Service::Aggregator => &self.aggregator,
            Service::S3Sink => &self.s3_sink,
        }
    }
}

/// Where a shell puts what it has seen. Closed when nobody is interested any more.
type Eyes = UnboundedSender<Seen>;

/// Looks at the pipeline of `config` for as long as the answer lives, which holds the latest snapshot.
pub(crate) async fn look(config: &Config, sources: &Sources) -> watch::Receiver<Arc<Snapshot>> {
    let bucket = Bucket::connect(config).await;
    let settings = settings(config, sources, &bucket);
    let (eyes, mut seen) = unbounded_channel();
    let (hints, committed) = watch::channel(ledger::Hints::default());
    tokio::spawn(poll::poll(
        Service::ALL.map(|service| (service, sources.of(service).clone())),
        eyes.clone(),
    ));
    waiting::start(config.clone(), hints, eyes.clone());
    rows::start(config.clone(), eyes.clone());
    tokio::spawn(ledger::follow(config.clone(), bucket, committed, eyes.clone()));
    if !sources.audit_every.is_zero() {
        audit::start(config.clone(), sources.audit_every, eyes);
    }

    let mut picture = Picture::new(settings, monotonic());
    let (shown, snapshots) = watch::channel(Arc::new(picture.snapshot(moment())));
    tokio::spawn(async move {
        let mut seconds = tokio::time::interval(SECOND);
        loop {
            tokio::select! {
                Some(seen) = seen.recv() => picture.take(monotonic(), seen),
                _ = seconds.tick() => {
                    if shown.send(Arc::new(picture.snapshot(moment()))).is_err() {
                        return;
                    }
                }
            }
        }
    });
    snapshots
}

fn moment() -> Moment {
    Moment { instant: monotonic(), wall: now() }
}

fn settings(config: &Config, sources: &Sources, bucket: &Bucket) -> Settings {
    let sink = &config.sink;
    let writers = [&sink.raw, &sink.aggregates, &sink.late, &sink.dead_letters];
    Settings {
        asked: Service::ALL.map(|service| (service, sources.of(service).to_string())).into(),
        kafka: config.kafka.bootstrap_servers.clone(),
        s3: bucket.to_string(),
        grace: config.pipeline.window.grace,
        flush_interval: writers.map(|writer| writer.flush_interval).into_iter().max().unwrap_or_default(),
        audit_every: sources.audit_every,
    }
}
