//! `pageviews topics`: creates the topics, or says in what an existing one is wrong.

mod plan;

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use service::Config;

use crate::arguments::duration;
use crate::kafka::{Cluster, TIMEOUT};
use crate::{Verdict, output};
use plan::{Existing, Topic};

/// Create the four topics; a topic that exists is checked and left as it is
///
/// Prints a line for each. Fails (exit 1) if an existing topic has another number of partitions or stamps records by
/// itself (LogAppendTime).
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Copies of each partition of a new topic [default: one a broker, at most 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replication_factor: Option<u16>,
    /// How long to wait for Kafka to answer
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    wait: Duration,
}

type Admin = AdminClient<DefaultClientContext>;

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let cluster = Cluster::new(config)?;
    let metadata = cluster.metadata(options.wait)?;
    let admin = admin(config)?;
    let replication =
        plan::replication(options.replication_factor.map(usize::from), metadata.brokers().len());
    let topics = plan::topics(&config.pipeline);
    let (existing, missing): (Vec<_>, Vec<_>) =
        topics.iter().partition(|topic| partitions(&metadata, &topic.name).is_some());

    let mut verdict = Verdict::Good;
    let lost_race = create(&admin, &missing, replication, &mut verdict).await?;
    let metadata = if lost_race.is_empty() { metadata } else { cluster.metadata(TIMEOUT)? };
    for topic in existing.into_iter().chain(lost_race) {
        check(&admin, &metadata, topic, &mut verdict).await?;
    }
    Ok(verdict)
}

fn admin(config: &Config) -> anyhow::Result<Admin> {
    // It produces nothing: no producer id need be asked for.
    Ok(service::kafka::producer_config(config).set("enable.idempotence", "false").create()?)
}

/// Creates `topics` and returns those that somebody else has created meanwhile.
async fn create<'a>(
    admin: &Admin,
    topics: &[&'a Topic],
    replication: usize,
    verdict: &mut Verdict,
) -> anyhow::Result<Vec<&'a Topic>> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let copies = i32::try_from(replication)?;
    let new = topics.iter().map(|topic| {
        let new = NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(copies));
        plan::settings(replication).into_iter().fold(new, |new, (key, value)| new.set(key, value))
    });
    let new: Vec<_> = new.collect();
    let results = admin.create_topics(&new, &patient()).await.context("cannot create topics")?;
    let mut lost_race = Vec::new();
    for result in results {
        match result {
            Ok(name) => {
                let partitions =
                    topics.iter().find(|topic| topic.name == name).map_or(0, |topic| topic.partitions);
                output::line(format!(
                    "{name}: created (partitions {partitions}, replication factor {replication})"
                ))?;
            }
            Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => {
                lost_race.extend(topics.iter().find(|topic| topic.name == name));
            }
            Err((name, code)) => {
                output::line(format!("{name}: not created: {}", reason(code, replication)))?;
                *verdict = Verdict::Bad;
            }
        }
    }
    Ok(lost_race)
}

fn reason(code: RDKafkaErrorCode, replication: usize) -> String {
    match code {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            format!("there are fewer than {replication} brokers for --replication-factor {replication}")
        }
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => {
            format!("{code}: this user needs the operation Create on the topic or the cluster")
        }
        code => code.to_string(),
    }
}

/// Prints how `topic` is, and in what it is wrong.
async fn check(
    admin: &Admin,
    metadata: &Metadata,
    topic: &Topic,
    verdict: &mut Verdict,
) -> anyhow::Result<()> {
    let existing = existing(admin, metadata, topic).await?;
    let mismatches = topic.mismatches(&existing);
    if mismatches.is_empty() {
        let Existing { partitions, replication, .. } = existing;
        output::line(format!(
            "{}: exists (partitions {partitions}, replication factor {replication})",
            topic.name
        ))?;
    } else {
        *verdict = Verdict::Bad;
    }
    mismatches.iter().try_for_each(|mismatch| output::line(format!("{}: exists, but {mismatch}", topic.name)))
}

async fn existing(admin: &Admin, metadata: &Metadata, topic: &Topic) -> anyhow::Result<Existing> {
    let cannot = || format!("cannot read the settings of topic {}", topic.name);
    let asked = [ResourceSpecifier::Topic(&topic.name)];
    let answers = admin.describe_configs(&asked, &patient()).await.with_context(cannot)?;
    let answer = answers.into_iter().next().with_context(cannot)?.with_context(cannot)?;
    let timestamps = answer.get("message.timestamp.type").and_then(|entry| entry.value.clone());
    let (partitions, replication) = partitions(metadata, &topic.name).with_context(cannot)?;
    Ok(Existing { partitions, replication, timestamps: timestamps.with_context(cannot)? })
}

/// The number of partitions of a topic that exists, and of copies of the first.
fn partitions(metadata: &Metadata, name: &str) -> Option<(i32, usize)> {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none())?;
    let partitions = topic.partitions();
    Some((i32::try_from(partitions.len()).ok()?, partitions.first()?.replicas().len()))
}

/// Options that give the brokers the time that other questions have too.
fn patient() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT))
}
