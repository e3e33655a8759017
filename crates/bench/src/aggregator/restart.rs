//! A restart of the aggregator that finds millions of events of a window that is still open.

use std::time::Duration;

use model::EpochSeconds;

use super::ours::Aggregator;
use crate::arena::{Arena, LIMIT};
use crate::events::Recipe;
use crate::fill;
use crate::topics::{self, PARTITIONS};
use crate::usage::Usage;

/// Windows of the past would be closed by the wall clock, and there would be nothing to replay.
const SETTINGS: [(&str, &str); 1] = [("PAGEVIEW_PIPELINE__WINDOW__IDLE_TIMEOUT", "1h")];

/// A topic whose events are all of one minute, and the records that are none at its end.
pub(super) struct Replay {
    topic: &'static str,
    events: u64,
}

impl Replay {
    /// Fills the topic with `recipe`'s kind of events, of the minute from `minute` on.
    pub(super) async fn prepare(
        arena: &Arena,
        recipe: &Recipe,
        events: u64,
        minute: EpochSeconds,
    ) -> anyhow::Result<Self> {
        let topic = "replay";
        let disorder = Duration::from_secs(recipe.disorder);
        let recipe = Recipe {
            events,
            start: minute.to_millis().plus(disorder),
            span: Duration::from_secs(59).saturating_sub(disorder),
            ..recipe.clone()
        };
        topics::create(&arena.bootstrap(), &[(topic, PARTITIONS)]).await?;
        fill::fill(&arena.bootstrap(), topic, &recipe)?;
        fill::end(&arena.bootstrap(), topic, recipe.start.plus(recipe.span))?;
        Ok(Self { topic, events })
    }

    /// The topic.
    pub(super) fn topic(&self) -> &str {
        self.topic
    }

    /// Counts the topic, is killed, and counts it again: from the committed offset of the first partition that is
    /// assigned until all that was read before was read again.
    pub(super) async fn restart(&self, arena: &Arena, name: String) -> anyhow::Result<Usage> {
        let aggregator = Aggregator::prepare(arena, self.topic, name).await?;
        let records = u64::from(PARTITIONS.unsigned_abs());
        let child = aggregator.start(&SETTINGS).await?;
        // Dead letters are committed at once, and with them how far all was read.
        aggregator.until(&child, "pageviews_rejected_total", records).await?;
        child.kill().await?;
        let mut child = aggregator.start(&SETTINGS).await?;
        let assigned = child.says(r#""message":"restored from the commit""#, LIMIT).await?;
        let replayed = aggregator.until(&child, "pageviews_replayed_total", self.events + records).await?;
        let usage = assigned.until(&replayed, self.events)?;
        child.kill().await?;
        Ok(usage)
    }
}
