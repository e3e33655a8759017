//! The aggregator itself: its release binary, with its default configuration.

use stack::Service;

use crate::arena::{Arena, LIMIT};
use crate::child::Child;
use crate::tally::Counts;
use crate::topics::{self, PARTITIONS};
use crate::usage::{Mark, Usage};

const CONSUMED: &str = "pageviews_consumed_total";

/// A group of its own, with outputs of its own, over the events of a topic.
pub(super) struct Aggregator<'a> {
    arena: &'a Arena,
    topic: &'a str,
    name: String,
    port: u16,
}

impl<'a> Aggregator<'a> {
    /// Makes the output topics.
    pub(super) async fn prepare(arena: &'a Arena, topic: &'a str, name: String) -> anyhow::Result<Self> {
        let this = Self { arena, topic, name, port: arena.broker.port(Service::Aggregator) };
        let topics = [
            (&*this.aggregates(), PARTITIONS),
            (&*this.output("late"), PARTITIONS),
            (&*this.output("dead"), 1),
        ];
        topics::create(&arena.bootstrap(), &topics).await?;
        Ok(this)
    }

    /// The topic of its rows.
    pub(super) fn aggregates(&self) -> String {
        self.output("aggregates")
    }

    fn output(&self, kind: &str) -> String {
        format!("{}-{kind}", self.name)
    }

    /// Starts it; `settings` go on top of the defaults.
    pub(super) async fn start(&self, settings: &[(&str, &str)]) -> anyhow::Result<Child> {
        let mut command = self.arena.command("aggregator");
        command
            .env("PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS", self.arena.bootstrap())
            .env("PAGEVIEW_SERVER__HOST", "127.0.0.1")
            .env("PAGEVIEW_SERVER__PORT", self.port.to_string())
            .env("PAGEVIEW_PIPELINE__PAGEVIEWS_TOPIC", self.topic)
            .env("PAGEVIEW_PIPELINE__AGGREGATES_TOPIC", self.aggregates())
            .env("PAGEVIEW_PIPELINE__LATE_TOPIC", self.output("late"))
            .env("PAGEVIEW_PIPELINE__DEAD_LETTERS_TOPIC", self.output("dead"))
            .env("PAGEVIEW_PIPELINE__GROUP_ID", &self.name)
            .env("PAGEVIEW_PIPELINE__INSTANCE_ID", "bench")
            .envs(settings.iter().copied())
            .envs(self.arena.env.iter().map(|(name, value)| (name, value)));
        Child::start(command, &self.arena.log(&self.name)).await
    }

    /// Reads the whole topic, from its first assignment until it has consumed `events`; then its rows are compared with
    /// those that must be there.
    pub(super) async fn catch_up(&self, events: u64, closed: &Counts) -> anyhow::Result<Usage> {
        let mut child = self.start(&[]).await?;
        let first = child.says(r#""message":"assigned""#, LIMIT).await?;
        let done = self.until(&child, CONSUMED, events).await?;
        let usage = first.until(&done, events)?;
        topics::check_rows(&self.arena.bootstrap(), &self.aggregates(), closed)?;
        child.kill().await?;
        Ok(usage)
    }

    /// Waits until the metric `name` has come to `total`.
    pub(super) async fn until(&self, child: &Child, name: &str, total: u64) -> anyhow::Result<Mark> {
        self.arena.until(child, self.port, name, total).await
    }
}
