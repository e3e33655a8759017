//! What changes rarely: membership, idle partitions, metrics, health.

use std::time::{Duration, Instant};

use super::Writer;
use crate::assigned::Assigned;
use crate::metrics::{self, Holding};
use crate::planner::Partition;

impl Writer {
    /// Looks at what changes rarely: membership, idle partitions, metrics, health.
    pub(super) fn look(&mut self, now: Instant) {
        let joined = self.consumer.joined();
        self.kafka_away = (self.kafka_away || !joined) && !self.consumer.reaches_kafka();
        let kafka = match (self.kafka_away, joined) {
            (true, _) => Some("no broker answers"),
            (false, false) => Some("has not joined its group yet"),
            (false, true) => None,
        };
        match kafka {
            None => self.surroundings.kafka.up(),
            Some(reason) => self.surroundings.kafka.down(reason),
        }
        let (failed, positions) = (self.consumer.failed_commits(), self.consumer.positions());
        for (number, assigned) in &mut self.assigned {
            if failed.contains(number) {
                assigned.committed = None;
            }
            // A control record of before a seek can move the position for a moment: what it stays at is true.
            let position = positions.get(number).copied();
            let stays = std::mem::replace(&mut assigned.stood, position) == position;
            if let Some(hint) = assigned.uncommitted(position.filter(|_| stays)) {
                assigned.committed = self.consumer.commit(*number, hint).is_ok().then_some(hint);
            }
        }
        let partitions = || self.assigned.values().map(|assigned| &assigned.partition);
        let stuck =
            self.assigned.iter().filter_map(|(number, assigned)| Some((number, assigned.stuck(now)?)));
        let stuck: Vec<_> =
            stuck.map(|(number, reason)| format!("{}[{number}] {reason}", self.topic)).collect();
        let holding = Holding {
            buffered: partitions().map(Partition::filling).sum::<usize>() + self.tasks.writing(),
            lag: self.assigned.iter().map(|(number, assigned)| self.lag(*number, assigned)).sum(),
            paused: partitions().filter(|partition| partition.paused()).count(),
            parked: self.assigned.values().filter(|assigned| assigned.parked.is_some()).count(),
            oldest: partitions()
                .filter_map(Partition::oldest)
                .min()
                .map_or(Duration::ZERO, |oldest| now - oldest),
        };
        metrics::show(self.kind, holding);
        let health = &self.surroundings.partitions;
        if stuck.is_empty() {
            health.up()
        } else {
            health.down(stuck.join("; "))
        }
        health.detail("assigned", self.assigned.len() as u64);
        health.detail("lag", holding.lag);
        health.detail("paused", holding.paused as u64);
    }

    /// How far the log reaches beyond what is in S3. A partition that has not been read yet tells nothing.
    fn lag(&self, number: i32, assigned: &Assigned) -> u64 {
        let ends = [self.consumer.last_known_end(number), self.surroundings.ends.of(&self.topic, number)];
        let end = ends.into_iter().flatten().max();
        // Idle, everything before the last commit is either in S3 or a control record.
        let committed = assigned.committed.map(|hint| hint.committed);
        let written = assigned.partition.written_to().max(committed);
        end.zip(written).map_or(0, |(end, written)| u64::try_from(end - written).unwrap_or(0))
    }
}
