//! A consumer group of a sink, from outside: who is in it, and what it has committed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use model::topic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use stack::Stack;

use crate::wait::eventually;

const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a group may take to notice that a member is dead, or to take one in.
const SESSION: Duration = Duration::from_secs(45);
const TOOL: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

/// A group and the topic that it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    id: &'static str,
    topic: &'static str,
}

/// What becomes of a group's committed offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offsets {
    /// They stay.
    Kept,
    /// They are set to the log's start, without metadata.
    ToEarliest,
    /// They are set to the log's end, without metadata.
    ToLatest,
    /// They are gone, as if they had expired.
    Deleted,
}

impl Group {
    /// That of the writer of `raw/`.
    pub const RAW: Self = Self { id: "pageview-s3-raw", topic: topic::PAGEVIEWS };
    /// That of the writer of `aggregates/`.
    pub const AGGREGATES: Self = Self { id: "pageview-s3-aggregates", topic: topic::AGGREGATES };
    /// That of the writer of `late/`.
    pub const LATE: Self = Self { id: "pageview-s3-late", topic: topic::LATE };
    /// That of the writer of `dead-letter/topic/`.
    pub const DEAD_LETTERS: Self = Self { id: "pageview-s3-dead-letters", topic: topic::DEAD_LETTERS };
    /// Those that every sink is a member of.
    pub const ALL: [Self; 4] = [Self::RAW, Self::AGGREGATES, Self::LATE, Self::DEAD_LETTERS];

    /// Its members, by the ids that the broker gave them: whoever leaves and comes back has another one. `None` while a
    /// rebalance is under way.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub fn members(self, stack: &Stack) -> Result<Option<BTreeSet<String>>> {
        let mut config = ClientConfig::new();
        let client: BaseConsumer = config.set("bootstrap.servers", stack.kafka_bootstrap()).create()?;
        let list = client.fetch_group_list(Some(self.id), TIMEOUT)?;
        let Some(group) = list.groups().first() else { return Ok(Some(BTreeSet::new())) };
        let at_rest = matches!(group.state(), "Stable" | "Empty" | "Dead");
        Ok(at_rest.then(|| group.members().iter().map(|member| member.id().to_owned()).collect()))
    }

    /// Waits until it has this many members, and is at rest.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn settled(self, stack: &Stack, members: usize) -> Result<BTreeSet<String>> {
        eventually("a group has its members, and is at rest", SESSION, async || {
            let now = self.members(stack)?;
            ensure!(now.as_ref().is_some_and(|now| now.len() == members), "{}: {now:?}", self.id);
            Ok(now)
        })
        .await
    }

    /// Does this to its committed offsets, with Kafka's own tool, once all its members are gone.
    ///
    /// # Errors
    /// When it keeps members, or the tool fails.
    pub async fn change(self, stack: &Stack, offsets: Offsets) -> Result<()> {
        let action: &[&str] = match offsets {
            Offsets::Kept => return Ok(()),
            Offsets::ToEarliest => &["--reset-offsets", "--to-earliest", "--execute"],
            Offsets::ToLatest => &["--reset-offsets", "--to-latest", "--execute"],
            Offsets::Deleted => &["--delete-offsets"],
        };
        self.settled(stack, 0).await?;
        let arguments = [action, &["--group", self.id, "--topic", self.topic]].concat();
        let output = stack.kafka_tool(TOOL, &arguments, b"").await?;
        let words = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && words.contains(self.topic) && !words.contains("Error"),
            "{offsets:?} of {}: {words}{}",
            self.id,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}
