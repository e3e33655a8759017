//! From committed offsets to windows.

use crate::error::Error;
use crate::group::{Commit, Group};
use crate::resume_point::ResumePoint;
use crate::windows::{Limits, PartitionWindows, Restored};

/// Restores `partitions` from what is committed and from what their logs still hold.
pub(crate) fn restore(
    group: &Group,
    partitions: &[i32],
    limits: Limits,
) -> Result<Vec<(i32, Restored)>, Error> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let commits = group.committed(partitions).map_err(Error::Consumer)?;
    commits.into_iter().map(|commit| restore_one(group, commit, limits)).collect()
}

fn restore_one(group: &Group, commit: Commit, limits: Limits) -> Result<(i32, Restored), Error> {
    let Commit { partition, metadata, .. } = &commit;
    let log = group.log_bounds(*partition).map_err(Error::Consumer)?;
    let offset = commit.offset.unwrap_or(log.start);
    // Tools that move offsets write no metadata.
    let point = if commit.offset.is_none() || metadata.is_empty() {
        ResumePoint::at(offset)
    } else {
        metadata.parse().map_err(|source| Error::Metadata {
            topic: group.topic().to_owned(),
            partition: *partition,
            source,
        })?
    };
    let restored = PartitionWindows::restore(offset, point, log, limits);
    let Restored { missed, truncated, .. } = restored;
    if missed > 0 {
        tracing::error!(
            partition,
            missed,
            log.start,
            "retention deleted records before they were counted: going on"
        );
    }
    if truncated > 0 {
        tracing::error!(
            partition,
            truncated,
            log.end,
            "the log ends below what was counted: going on from its end"
        );
    }
    let skew = restored.windows.max_future_skew();
    if skew != limits.max_future_skew {
        tracing::warn!(
            partition,
            ?skew,
            "pipeline.max_future_skew was changed twice: the second change waits for the next restart"
        );
    }
    tracing::info!(partition, offset, next = point.next, "restored from the commit");
    Ok((*partition, restored))
}
