//! Every alerting rule fires when what it is for happens to the real stack, and none does while all is well.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Foreign, Load, Proxy, eventually, for_a_while, options, produce, put};
use model::topic;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::json;
use service::clock;
use stack::{Service, Stack};

use crate::alarms::Alarms;
use crate::prometheus::Prometheus;

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
/// Next to nothing of what comes can be read.
const QUOTA: &str = "consumer_byte_rate=1000";
/// Longer than any rule looks back or waits, but for those that look for hours.
const WELL: Duration = Duration::from_secs(25);
/// The slowest are those that wait for ten minutes.
const WITHIN: Duration = Duration::from_secs(90);

#[tokio::test]
async fn every_alert_fires_at_its_fault_and_none_while_all_is_well() -> Result<()> {
    let options = options("alerts")?.replicas(Service::S3Sink, 0);
    let options = options.env("PAGEVIEW_PIPELINE__WINDOW__MEMORY_LIMIT", "1MiB");
    let options = options.env("PAGEVIEW_METRICS__CLOUDWATCH__ENABLED", "true");
    let options = options.env("PAGEVIEW_METRICS__CLOUDWATCH__STEP", "1s");
    let mut stack = Stack::start(options).await?;
    let proxy = Proxy::before(&stack, 1).await?;
    // CloudWatch is there while S3 is not.
    let emulator = stack.s3_endpoint();
    stack.set_env(Service::S3Sink, "PAGEVIEW_METRICS__CLOUDWATCH__ENDPOINT_OVERRIDE", &emulator);
    stack.scale(Service::S3Sink, 1).await?;
    // Until it is told to stop. A minute of the events passes in a second and a half.
    let load = ["--rate", "800", "--duration", "600s", "--batch", "20", "--history", "400m"];
    let load = Load::start(&stack, "alerts", &load).await?;
    let mut watch = Watch::start(&stack).await?;
    watch.stays_silent(&stack, WELL).await?;

    produce(&stack, topic::PAGEVIEWS, "none", vec![garbage()]).await?;
    let alerts = ["DeadLetters aggregator", "DeadLetters s3-sink"];
    watch.fires(&stack, &alerts, &["dead-letters-aggregator", "dead-letters-raw"]).await?;

    proxy.set_away(true);
    let alerts = ["S3Errors s3-sink", "OldestUnflushed s3-sink", "NotReady s3-sink"];
    watch.fires(&stack, &alerts, &["s3-error-rate-raw", "oldest-unflushed-raw"]).await?;
    proxy.set_away(false);

    consumers_may_read(&stack, &["--add-config", QUOTA]).await?;
    let alarms = ["consumer-lag-aggregator", "consumer-lag-raw", "aggregator-silent"];
    watch.fires(&stack, &["ConsumerLag aggregator", "ConsumerLag s3-sink"], &alarms).await?;
    consumers_may_read(&stack, &["--delete-config", "consumer_byte_rate"]).await?;

    for service in [Service::Aggregator, Service::S3Sink] {
        stack.scale(service, 0).await?;
    }
    let alerts = ["AggregatorSilent aggregator", "ReplicaDown aggregator", "ReplicaDown s3-sink"];
    watch.fires(&stack, &alerts, &["no-metrics-aggregator", "no-metrics-s3-sink"]).await?;

    // Meanwhile retention takes what they have not read, a log has lost its end, and somebody writes to the ledger.
    delete_records(&stack).await?;
    forget_end(&stack)?;
    put(&stack, "ledger/late-pageview-aggregates/p00000/00000000000000999999.json", "{}").await?;
    for service in [Service::Aggregator, Service::S3Sink] {
        stack.set_replicas(service, 1).await?;
    }
    let alerts = ["OffsetsLost aggregator", "OffsetsLost s3-sink", "PartitionParked s3-sink"];
    let alarms = ["offsets-missed", "offsets-truncated", "offsets-lost-raw", "partitions-parked-late"];
    watch.fires(&stack, &alerts, &alarms).await?;

    stack.kafka().stop().await;
    watch.fires(&stack, &["IngestErrors ingest-api", "NotReady ingest-api"], &["5xx-share"]).await?;
    stack.kafka().start().await;
    stack.kafka().ready().await?;

    // Of this very minute, and so ahead of the others, which are late from now on; and more ids than there is room for.
    let ids = ["--rate", "6000", "--duration", "600s", "--batch", "200", "--ids"];
    let ids = Load::start(&stack, "ids", &ids).await?;
    let alerts = ["EventIdsDropped aggregator", "LateShare aggregator"];
    watch.fires(&stack, &alerts, &["event-ids-dropped", "late-share"]).await?;
    ids.stop(&stack).await?;

    load.stop(&stack).await?;
    watch.fires(&stack, &["NoIngest ingest-api"], &[]).await?;
    stack.scale(Service::IngestApi, 0).await?;
    watch.fires(&stack, &["ReplicaDown ingest-api"], &["no-metrics-ingest-api"]).await?;
    watch.has_seen_every_rule_fire()?;
    stack.stop().await?;
    Ok(())
}

/// Both who may wake somebody.
struct Watch {
    prometheus: Prometheus,
    cloudwatch: Alarms,
    /// Of Prometheus by name and service, of CloudWatch by name.
    fired: (BTreeSet<String>, BTreeSet<String>),
    /// When the last fault was over.
    since: i64,
}

impl Watch {
    async fn start(stack: &Stack) -> Result<Self> {
        let (prometheus, cloudwatch) = (Prometheus::start(stack).await?, Alarms::planned(stack).await?);
        Ok(Self { prometheus, cloudwatch, fired: Default::default(), since: now() })
    }

    /// Nothing fires for `time`.
    async fn stays_silent(&mut self, stack: &Stack, time: Duration) -> Result<()> {
        for_a_while(time).await;
        let alerts = self.prometheus.firing().await?;
        let alarms = self.cloudwatch.fired(stack, self.since, now(), |_| true).await?;
        self.since = now();
        ensure!(alerts.is_empty() && alarms.is_empty(), "all is well, and {alerts:?} {alarms:?} fire");
        Ok(())
    }

    /// Waits until every one of these alerts and alarms has fired.
    async fn fires(&mut self, stack: &Stack, alerts: &[&str], alarms: &[&str]) -> Result<()> {
        let (since, mut fired_alerts) = (self.since, BTreeSet::new());
        eventually("whoever has to be woken is", WITHIN, async || {
            fired_alerts.extend(self.prometheus.firing().await?);
            let missing: Vec<_> = alerts.iter().filter(|alert| !fired_alerts.contains(**alert)).collect();
            ensure!(missing.is_empty(), "{missing:?} have not fired");
            let fired = self.cloudwatch.fired(stack, since, now(), |name| alarms.contains(&name)).await?;
            let missing: Vec<_> = alarms.iter().filter(|alarm| !fired.contains(**alarm)).collect();
            ensure!(missing.is_empty(), "{missing:?} are not in alarm");
            self.fired.1.extend(fired);
            Ok(Some(()))
        })
        .await?;
        self.fired.0.extend(fired_alerts);
        self.since = now();
        println!("{alerts:?} {alarms:?}: {} s", self.since - since);
        Ok(())
    }

    fn has_seen_every_rule_fire(&self) -> Result<()> {
        let (alerts, alarms) = (Prometheus::missing(&self.fired.0), self.cloudwatch.missing(&self.fired.1));
        ensure!(
            alerts.is_empty() && alarms.is_empty(),
            "no fault of this test makes {alerts:?} {alarms:?} fire"
        );
        Ok(())
    }
}

fn now() -> i64 {
    clock::now().to_seconds().0
}

/// No event, and no line either.
fn garbage() -> Foreign {
    Foreign { value: Some(b"{\n\"a\":\n".to_vec()), ..Foreign::default() }
}

/// A quota of Kafka's for all clients.
async fn consumers_may_read(stack: &Stack, change: &[&str]) -> Result<()> {
    let all = ["--alter", "--entity-type", "clients", "--entity-default"];
    let output = stack.kafka_tool(CONFIGS, &[&all[..], change].concat(), b"").await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// Everything that is in the topic of events by now.
async fn delete_records(stack: &Stack) -> Result<()> {
    let all = (0..topic::PARTITIONS)
        .map(|partition| json!({"topic": topic::PAGEVIEWS, "partition": partition, "offset": -1}));
    let file = stack.logs_dir().join("delete.json");
    fs::write(&file, json!({"version": 1, "partitions": all.collect::<Vec<_>>()}).to_string())?;
    let file = file.display().to_string();
    let output = stack.kafka_tool(DELETE_RECORDS, &["--offset-json-file", &file], b"").await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

/// The aggregator has committed more of one partition than there is.
fn forget_end(stack: &Stack) -> Result<()> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.kafka_bootstrap())
        .set("group.id", topic::AGGREGATOR_GROUP)
        .create()?;
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topic::PAGEVIEWS, 0, Offset::Offset(1_000_000_000))?;
    client.commit(&offsets, CommitMode::Sync)?;
    Ok(())
}
