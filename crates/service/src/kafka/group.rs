//! Which generation of its group a consumer belongs to: what fences a transaction's offsets (KIP-447).
#![expect(unsafe_code, reason = "rdkafka keeps generation and member id private; librdkafka tells them")]

use std::ffi::CStr;

use rdkafka::bindings;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};

use crate::config::Config;

/// Whether static membership has what it needs: a name that outlives the process. Without one every restart would leave a
/// ghost in the group.
///
/// # Errors
/// Says which setting is missing.
pub fn check_static_membership(config: &Config) -> Result<(), String> {
    match (config.kafka.static_membership, &config.pipeline.instance_id) {
        (true, None) => {
            Err("kafka.static_membership needs pipeline.instance_id (PAGEVIEW_PIPELINE__INSTANCE_ID), the \
                             same after every restart of this replica, and no other replica's"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// A consumer's place in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Counts the rebalances; positive here.
    pub generation: i32,
    /// Chosen by the coordinator; never empty here.
    pub member_id: String,
}

/// The metadata to commit offsets with, if `consumer` has joined its group.
///
/// A consumer that has *not* joined has metadata too, of generation -1 without a member id, and brokers accept that
/// from anybody: such metadata fences nothing, so it is never returned.
#[must_use]
pub fn fencing_metadata<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
) -> Option<(ConsumerGroupMetadata, Membership)> {
    // rdkafka's metadata cannot be looked into. If the membership is the same before and after, it is that of the
    // metadata taken in between: generations only rise. With the broker's own assignment (KIP-848) any heartbeat may
    // raise the epoch, so it is looked at until two looks agree.
    loop {
        let before = membership(consumer)?;
        let metadata = consumer.group_metadata()?;
        if membership(consumer)? == before {
            return Some((metadata, before));
        }
    }
}

/// The consumer's current place in its group; `None` if it has not joined.
#[must_use]
pub fn membership<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Membership> {
    // SAFETY: the client outlives the call; the metadata is ours and destroyed once, after the id was copied; the id
    // is a NUL-terminated string owned by the metadata, or null.
    let (generation, member_id) = unsafe {
        let metadata = bindings::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let generation = bindings::rd_kafka_consumer_group_metadata_generation_id(metadata);
        let id = bindings::rd_kafka_consumer_group_metadata_member_id(metadata);
        let id = if id.is_null() { String::new() } else { CStr::from_ptr(id).to_string_lossy().into_owned() };
        bindings::rd_kafka_consumer_group_metadata_destroy(metadata);
        (generation, id)
    };
    // A member of the classic protocol has generation 1 at least; epoch 0 of KIP-848's is a member still to join.
    (generation > 0 && !member_id.is_empty()).then_some(Membership { generation, member_id })
}
