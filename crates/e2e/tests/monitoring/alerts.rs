//! Every alerting rule fires when what it is for happens to the real stack, and none does while all is well.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Foreign, Load, Proxy, for_a_while, options, produce, put};
use model::topic;
use serde_json::json;
use stack::{Service, Stack};

use crate::prometheus::Prometheus;

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
/// In it a quarter of what comes can be read.
const QUOTA: &str = "consumer_byte_rate=20000";
/// All is well for so long: ten times as long as the shortest rule waits.
const WELL: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_alert_fires_at_its_fault_and_none_while_all_is_well() -> Result<()> {
    let options = options("alerts")?.replicas(Service::S3Sink, 0);
    let options = options.env("PAGEVIEW_PIPELINE__WINDOW__MEMORY_LIMIT", "1MiB");
    let mut stack = Stack::start(options).await?;
    let proxy = Proxy::before(&stack, 1).await?;
    stack.scale(Service::S3Sink, 1).await?;
    // Until it is told to stop. A minute of the events passes in a second and a half.
    let load = ["--rate", "800", "--duration", "600s", "--batch", "20", "--history", "400m"];
    let load = Load::start(&stack, "alerts", &load).await?;
    let mut prometheus = Prometheus::start(&stack).await?;
    for_a_while(WELL).await;
    let firing = prometheus.firing().await?;
    ensure!(firing.is_empty(), "all is well, and {firing:?} fire");

    let nothing = async || Ok(());
    produce(&stack, topic::PAGEVIEWS, "none", vec![garbage()]).await?;
    prometheus.fires(&[("DeadLetters", "aggregator"), ("DeadLetters", "s3-sink")], nothing).await?;

    proxy.set_away(true);
    let away = [("S3Errors", "s3-sink"), ("OldestUnflushed", "s3-sink"), ("NotReady", "s3-sink")];
    prometheus.fires(&away, nothing).await?;
    proxy.set_away(false);

    consumers_may_read(&stack, &["--add-config", QUOTA]).await?;
    prometheus.fires(&[("ConsumerLag", "aggregator"), ("ConsumerLag", "s3-sink")], nothing).await?;
    consumers_may_read(&stack, &["--delete-config", "consumer_byte_rate"]).await?;

    for service in [Service::Aggregator, Service::S3Sink] {
        stack.scale(service, 0).await?;
    }
    let gone =
        [("AggregatorSilent", "aggregator"), ("ReplicaDown", "aggregator"), ("ReplicaDown", "s3-sink")];
    prometheus.fires(&gone, nothing).await?;

    // Meanwhile retention takes what they have not read, and somebody writes to the ledger.
    delete_records(&stack).await?;
    put(&stack, "ledger/late-pageview-aggregates/p00000/00000000000000999999.json", "{}").await?;
    for service in [Service::Aggregator, Service::S3Sink] {
        stack.set_replicas(service, 1).await?;
    }
    let lost = [("OffsetsLost", "aggregator"), ("OffsetsLost", "s3-sink"), ("PartitionParked", "s3-sink")];
    prometheus.fires(&lost, nothing).await?;

    stack.kafka().stop().await;
    prometheus.fires(&[("IngestErrors", "ingest-api"), ("NotReady", "ingest-api")], nothing).await?;
    stack.kafka().start().await;
    stack.kafka().ready().await?;

    // Of this very minute, and so ahead of the others, which are late from now on; and more ids than there is room for.
    let ids = ["--rate", "6000", "--duration", "600s", "--batch", "200", "--ids"];
    let ids = Load::start(&stack, "ids", &ids).await?;
    prometheus.fires(&[("EventIdsDropped", "aggregator"), ("LateShare", "aggregator")], nothing).await?;
    ids.stop(&stack).await?;

    load.stop(&stack).await?;
    prometheus.fires(&[("NoIngest", "ingest-api")], nothing).await?;
    let never = prometheus.never_fired();
    ensure!(never.is_empty(), "no fault of this test makes {never:?} fire");
    stack.stop().await?;
    Ok(())
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
