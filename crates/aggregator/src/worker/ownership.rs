//! Which partitions this thread has: rebalances, and what must be restored.

use service::kafka::Disposition;

use super::Worker;
use crate::error::Error;
use crate::group::Continuity;
use crate::rebalance::Rebalance;
use crate::restore::restore;

impl Worker {
    pub(super) fn answer_rebalances(&mut self) -> Result<(), Error> {
        while let Some(event) = self.group.next_rebalance() {
            let answered = match event {
                Rebalance::Assigned(partitions) => self.take_over(&partitions)?,
                Rebalance::Revoked(partitions) => {
                    self.give_up(&partitions)?;
                    true
                }
            };
            if !answered {
                break;
            }
        }
        Ok(())
    }

    /// The order matters: the old state is gone before fresh metadata is taken, and the committed points are asked for
    /// after both, when no commit by another can be accepted any more.
    fn take_over(&mut self, partitions: &[i32]) -> Result<bool, Error> {
        for partition in partitions {
            self.partitions.forget(*partition);
        }
        self.renew_fence();
        let Some(positions) = self.restored(partitions)? else {
            return Ok(false);
        };
        self.group.assign(&positions)?;
        for partition in partitions {
            self.forgotten.remove(partition);
        }
        tracing::info!(?partitions, "assigned");
        self.health.kafka.up();
        self.tell_of_aggregation(self.group.has_joined());
        self.flush()?;
        Ok(true)
    }

    /// What was not committed is the next owner's to read again. A last flush would be refused: by the time that
    /// partitions are taken away the group has a new generation, and fresh metadata must not cover old state.
    fn give_up(&mut self, partitions: &[i32]) -> Result<(), Error> {
        for partition in partitions {
            self.partitions.forget(*partition);
            self.forgotten.remove(partition);
        }
        self.renew_fence();
        self.group.unassign(partitions)?;
        tracing::info!(?partitions, "revoked");
        Ok(())
    }

    /// Once whatever was lost is forgotten.
    pub(super) fn renew_fence(&mut self) {
        if self.group.renew_fence() == Continuity::AnotherMember {
            self.forgotten.extend(self.partitions.forget_all());
        }
    }

    /// After an abort: the fetch goes back to what is committed.
    pub(super) fn restore_forgotten(&mut self) -> Result<(), Error> {
        if self.forgotten.is_empty() {
            return Ok(());
        }
        self.renew_fence();
        if self.group.fence().is_none() {
            return Ok(());
        }
        let partitions: Vec<i32> = self.forgotten.iter().copied().collect();
        let Some(positions) = self.restored(&partitions)? else {
            return Ok(());
        };
        if let Err(error) = self.group.seek(&positions) {
            tracing::warn!(%error, ?partitions, "cannot go back to the committed offsets yet");
            partitions.iter().for_each(|partition| self.restore_later(*partition));
            return Ok(());
        }
        self.forgotten.clear();
        tracing::info!(?partitions, "restored");
        self.flush()
    }

    /// Restores the windows of `partitions`, and tells where to read on; `None` if Kafka cannot say now. Flush before
    /// reading on: what a log lost at its end must be committed before other records lie there.
    fn restored(&mut self, partitions: &[i32]) -> Result<Option<Vec<(i32, i64)>>, Error> {
        let restored = match restore(&self.group, partitions, self.limits) {
            Ok(restored) => restored,
            Err(Error::Consumer(error)) if Disposition::of(&error) != Disposition::Fatal => {
                self.health.kafka.down(format!("cannot read committed offsets: {error}"));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut positions = Vec::with_capacity(restored.len());
        for (partition, restored) in restored {
            self.metrics.record_restore(&restored);
            positions.push((partition, restored.windows.position()));
            self.partitions.insert(partition, restored.windows);
        }
        Ok(Some(positions))
    }
}
