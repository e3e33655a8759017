//! A consumer's records, read in place.
//!
//! rdkafka makes an event, a reference count and a copy of a pointer for each record; here librdkafka calls back for each
//! record of a batch, and everything is borrowed. DESIGN section 7 has what that saves.
//!
//! ```text
//! group's main queue --BaseConsumer::poll--> rebalances, errors of the client
//! partition's queue --forwarded--> our queue --Records::read--> records, errors of the partition
//! ```
#![expect(unsafe_code, reason = "rdkafka has no call that reads a batch of records in place; librdkafka has")]

use std::ffi::{CString, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::time::Duration;

use model::EpochMillis;
use rdkafka::bindings::{self, rd_kafka_message_t, rd_kafka_queue_t, rd_kafka_t};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaRespErr;

use super::headers::{Header, native_headers};

/// A consumer whose records are read here, and whose rebalances by polling it.
pub struct Records<C: ConsumerContext> {
    // Before the client, which it belongs to.
    queue: Queue,
    consumer: BaseConsumer<C>,
    topic: CString,
}

/// A record, alive while it is looked at.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    message: *mut rd_kafka_message_t,
    alive: PhantomData<&'a rd_kafka_message_t>,
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} offset {}", self.partition(), self.offset())
    }
}

/// What one partition's queue says instead of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionError {
    /// The partition.
    pub partition: i32,
    /// What is wrong with it.
    pub code: RDKafkaErrorCode,
}

/// Whether to go on with the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// With the next record.
    Continue,
    /// Later: the records that follow stay in the queue.
    Stop,
}

impl<C: ConsumerContext> Records<C> {
    /// Reads the records of `topic`, as its partitions are assigned and [taken over](Self::take_over).
    #[must_use]
    pub fn new(consumer: BaseConsumer<C>, topic: CString) -> Self {
        // SAFETY: the client is alive, and the queue is destroyed before it: fields are dropped in their order.
        let queue = Queue(unsafe { bindings::rd_kafka_queue_new(consumer.client().native_ptr()) });
        Self { queue, consumer, topic }
    }

    /// The consumer itself, for everything but its records.
    pub const fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Takes what the group and the client have to say: rebalances are noted, errors returned, one a call. A record is no
    /// business of this queue: it is gone, and was one of the partition returned, whose records were not led here in time.
    #[must_use]
    pub fn hear(&self) -> Option<KafkaResult<i32>> {
        Some(self.consumer.poll(Duration::ZERO)?.map(|message| message.partition()))
    }

    /// Leads the records of `partitions` here instead of to the consumer's main queue: before they are assigned, and
    /// again as often as one likes. What their queues hold already comes, too.
    pub fn take_over(&self, partitions: impl IntoIterator<Item = i32>) {
        for partition in partitions {
            // SAFETY: the client and the topic's name are alive. Forwarding takes references of its own to both queues.
            unsafe {
                let from = bindings::rd_kafka_queue_get_partition(
                    self.consumer.client().native_ptr(),
                    self.topic.as_ptr(),
                    partition,
                );
                if !from.is_null() {
                    let from = Queue(from);
                    bindings::rd_kafka_queue_forward(from.0, self.queue.0);
                }
            }
        }
    }

    /// Where the partition's log ends, as the last fetch told; no broker is asked.
    #[must_use]
    pub fn last_known_end(&self, partition: i32) -> Option<i64> {
        let (mut start, mut end) = (0, 0);
        // SAFETY: the client and the topic's name are alive, and both numbers are ours.
        let answer = unsafe {
            bindings::rd_kafka_get_watermark_offsets(
                self.consumer.client().native_ptr(),
                self.topic.as_ptr(),
                partition,
                &raw mut start,
                &raw mut end,
            )
        };
        (answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && end >= 0).then_some(end)
    }

    /// Waits up to `timeout` for the first record, then hands all that are here to `each`, until it says to stop.
    /// Records of before a seek are left out by librdkafka. Returns how many there were, or nearly.
    pub fn read<F>(&self, timeout: Duration, each: F) -> usize
    where
        F: FnMut(Result<Record<'_>, PartitionError>) -> Flow,
    {
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut batch = Batch { each, client: self.consumer.client().native_ptr() };
        // SAFETY: the queue is alive, the callback gets `batch` and no one else has it, and it returns before we do.
        let count = unsafe {
            bindings::rd_kafka_consume_callback_queue(
                self.queue.0,
                timeout,
                Some(call::<F>),
                (&raw mut batch).cast(),
            )
        };
        usize::try_from(count).unwrap_or(0)
    }
}

/// What a callback works with.
struct Batch<F> {
    each: F,
    client: *mut rd_kafka_t,
}

/// # Safety
/// `message` must be alive until it returns, and `batch` be a `Batch<F>` that nobody else uses. A panic aborts.
unsafe extern "C" fn call<F>(message: *mut rd_kafka_message_t, batch: *mut c_void)
where
    F: FnMut(Result<Record<'_>, PartitionError>) -> Flow,
{
    // SAFETY: as promised above.
    let (batch, message_ref) = unsafe { (&mut *batch.cast::<Batch<F>>(), &*message) };
    let flow = if message_ref.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        (batch.each)(Ok(Record { message, alive: PhantomData }))
    } else {
        let error = PartitionError { partition: message_ref.partition, code: message_ref.err.into() };
        (batch.each)(Err(error))
    };
    if flow == Flow::Stop {
        // SAFETY: the client is alive. It puts the rest of the batch back to the queue's head.
        unsafe { bindings::rd_kafka_yield(batch.client) }
    }
}

impl<'a> Record<'a> {
    fn message(&self) -> &'a rd_kafka_message_t {
        // SAFETY: the message is alive for 'a.
        unsafe { &*self.message }
    }

    /// Its partition.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.message().partition
    }

    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.message().offset
    }

    /// Its timestamp; -1 ms where it has none.
    #[must_use]
    pub fn timestamp(&self) -> EpochMillis {
        // SAFETY: the message is alive, and the kind of timestamp may be left out.
        EpochMillis(unsafe { bindings::rd_kafka_message_timestamp(self.message, ptr::null_mut()) })
    }

    /// Its value; a tombstone has none.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: librdkafka's buffer is alive for as long as the message.
        (!message.payload.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(message.payload.cast(), message.len) })
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: as for the value.
        (!message.key.is_null())
            .then(|| unsafe { std::slice::from_raw_parts(message.key.cast(), message.key_len) })
    }

    /// Its headers, parsed now.
    #[must_use]
    pub fn headers(&self) -> Vec<Header<'a>> {
        // SAFETY: the message is alive for 'a.
        unsafe { native_headers(self.message) }
    }
}

/// A reference to a queue of librdkafka's, given back once.
struct Queue(*mut rd_kafka_queue_t);

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { bindings::rd_kafka_queue_destroy(self.0) }
    }
}
