//! Which cluster and which incarnation of a topic this is: a topic that was deleted and made again has another id.
#![expect(unsafe_code, reason = "rdkafka 0.39 does not wrap DescribeTopics; librdkafka has it")]

use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka::bindings::{self, rd_kafka_event_t, rd_kafka_queue_t, rd_kafka_t};
use rdkafka::client::{Client, ClientContext};

/// Why the cluster or a topic could not be identified.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No broker told its cluster's id in time.
    #[error("no broker answered within {0:?}")]
    NoCluster(Duration),
    /// The request for the topic failed.
    #[error("cannot describe topic {topic}: {reason}")]
    Describe {
        /// The topic asked for.
        topic: String,
        /// librdkafka's words.
        reason: String,
    },
}

/// The id of the cluster, waiting up to `timeout` for a broker.
///
/// # Errors
/// [`Error::NoCluster`] when none answers.
pub fn cluster_id<C: ClientContext>(client: &Client<C>, timeout: Duration) -> Result<String, Error> {
    client.fetch_cluster_id(timeout).ok_or(Error::NoCluster(timeout))
}

/// The id of `topic` (KIP-516), in the base64 form that Kafka's own tools print.
///
/// # Errors
/// [`Error::Describe`] when the topic does not exist, may not be described, or no broker answers within `timeout`.
pub fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<String, Error> {
    let failed = |reason: String| Error::Describe { topic: topic.to_owned(), reason };
    let name = CString::new(topic).map_err(|error| failed(error.to_string()))?;
    // SAFETY: the client outlives the call, and the name outlives the request, which copies it.
    let event = unsafe { describe(client.native_ptr(), &name, timeout) };
    let event = event.ok_or_else(|| failed(format!("no answer within {timeout:?}")))?;
    // SAFETY: the event is alive until the end of this function.
    unsafe { id_in(event.0) }.map_err(failed)
}

/// An event of librdkafka's, destroyed once.
struct Event(*mut rd_kafka_event_t);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by `describe`, which gives it to nobody else.
        unsafe { bindings::rd_kafka_event_destroy(self.0) }
    }
}

/// A queue of ours, destroyed once, after the last poll.
struct Queue(*mut rd_kafka_queue_t);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `describe`, which gives it to nobody else.
        unsafe { bindings::rd_kafka_queue_destroy(self.0) }
    }
}

/// Asks for the topic and waits for the answer.
///
/// # Safety
/// `client` must be alive.
unsafe fn describe(client: *mut rd_kafka_t, topic: &CStr, timeout: Duration) -> Option<Event> {
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    unsafe {
        let queue = Queue(bindings::rd_kafka_queue_new(client));
        let mut names = [topic.as_ptr()];
        let topics = bindings::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        // Without options librdkafka waits up to socket.timeout.ms; our own poll below gives up earlier, and the
        // answer that comes later dies with the queue.
        bindings::rd_kafka_DescribeTopics(client, topics, std::ptr::null(), queue.0);
        bindings::rd_kafka_TopicCollection_destroy(topics);
        let event = bindings::rd_kafka_queue_poll(queue.0, timeout);
        (!event.is_null()).then_some(Event(event))
    }
}

/// The id of the one topic in `event`, or why there is none.
///
/// # Safety
/// `event` must be alive.
unsafe fn id_in(event: *mut rd_kafka_event_t) -> Result<String, String> {
    let text = |text: *const std::ffi::c_char| {
        // SAFETY: librdkafka's strings are NUL-terminated and owned by the event.
        if text.is_null() {
            String::new()
        } else {
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        }
    };
    unsafe {
        if bindings::rd_kafka_event_error(event) as i32 != 0 {
            return Err(text(bindings::rd_kafka_event_error_string(event)));
        }
        let result = bindings::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err("the answer is of another kind".to_owned());
        }
        let mut count = 0;
        let topics = bindings::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count != 1 {
            return Err(format!("the answer has {count} topics"));
        }
        let error = bindings::rd_kafka_TopicDescription_error(*topics);
        if !error.is_null() && bindings::rd_kafka_error_code(error) as i32 != 0 {
            return Err(text(bindings::rd_kafka_error_string(error)));
        }
        let id = bindings::rd_kafka_TopicDescription_topic_id(*topics);
        if id.is_null() {
            return Err("the broker tells no topic ids".to_owned());
        }
        Ok(text(bindings::rd_kafka_Uuid_base64str(id)))
    }
}
