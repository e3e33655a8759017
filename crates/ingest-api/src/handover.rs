//! Hands a request's events to librdkafka, and takes its answers back.
//!
//! rdkafka's `send` is a call with a topic's name to look up and a box to allocate for each event; here a request is one
//! call of `rd_kafka_produce_batch` for each partition, and one allocation for all its tickets. DESIGN section 7 has what
//! that saves.
//!
//! ```text
//! Flight --ticket of each event--> librdkafka --Delivery--> settle: the last one lets the flight go
//! ```
#![expect(unsafe_code, reason = "rdkafka has no call that produces a batch; librdkafka has")]

use std::ffi::{CString, c_void};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use model::partition;
use rdkafka::IntoOpaque;
use rdkafka::bindings;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::delivery::Countdown;
use crate::request::Event;

/// Events in one call: 72 bytes each, which should stay in the processor's cache.
const BATCH: usize = 256;

/// `RD_KAFKA_PARTITION_UA`: the partitioner chooses.
const ANY_PARTITION: i32 = -1;

/// A topic that is written to. It must be dropped before its client is.
pub(crate) struct Topic {
    handle: NonNull<bindings::rd_kafka_topic_t>,
    /// How many it has, as far as is known: 0 is not.
    partitions: AtomicI32,
}

// SAFETY: a topic's handle may be used by any thread (librdkafka, INTRODUCTION.md, "Threads and callbacks").
unsafe impl Send for Topic {}
// SAFETY: as above.
unsafe impl Sync for Topic {}

impl Topic {
    /// The topic `name`, whether it exists yet or not.
    pub(crate) fn new<C: ClientContext>(client: &Client<C>, name: &str) -> KafkaResult<Self> {
        let name = CString::new(name)?;
        // SAFETY: the client is alive, the name ends with a zero, and without a configuration the client's is taken.
        let topic =
            unsafe { bindings::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), ptr::null_mut()) };
        let handle = NonNull::new(topic).ok_or_else(|| {
            KafkaError::ClientCreation(format!("librdkafka refuses the topic {}", name.to_string_lossy()))
        })?;
        Ok(Self { handle, partitions: AtomicI32::new(0) })
    }

    /// From now on events are handed over by partition, of so many. One that there is no more is refused, and
    /// its request answered 503, until the next look.
    pub(crate) fn set_partitions(&self, partitions: i32) {
        self.partitions.store(partitions, Ordering::Relaxed);
    }

    /// The partition of each of `events` with its place among them, by partition and in order.
    fn by_partition(&self, events: &[Event<'_>]) -> Vec<(i32, usize)> {
        let partitions = self.partitions.load(Ordering::Relaxed);
        let of = |event: &Event<'_>| match partitions {
            0 => ANY_PARTITION,
            several => partition(event.postcode.as_bytes(), several),
        };
        let mut places: Vec<_> = events.iter().enumerate().map(|(place, event)| (of(event), place)).collect();
        places.sort_by_key(|(partition, _)| *partition);
        places
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_topic_new`, destroyed once; messages on their way keep what they need.
        unsafe { bindings::rd_kafka_topic_destroy(self.handle.as_ptr()) };
    }
}

/// A request's events on their way. While one of them is, librdkafka has a share of it.
pub(crate) struct Flight {
    countdown: Countdown,
    tickets: Box<[Ticket]>,
}

/// What librdkafka carries for an event: where it belongs.
struct Ticket {
    flight: *const Flight,
    index: usize,
}

// SAFETY: the pointer leads to the flight that the ticket is part of, whose own parts are shared between threads.
unsafe impl Send for Ticket {}
// SAFETY: as above.
unsafe impl Sync for Ticket {}

impl Deref for Flight {
    type Target = Countdown;

    fn deref(&self) -> &Countdown {
        &self.countdown
    }
}

impl Flight {
    /// Hands `events` over, as many as `countdown` counts. Those that librdkafka does not take are settled, and told to
    /// `refused`.
    pub(crate) fn start(
        topic: &Topic,
        events: &[Event<'_>],
        countdown: Countdown,
        mut refused: impl FnMut(RDKafkaErrorCode),
    ) -> Arc<Self> {
        let flight = Arc::new_cyclic(|this| {
            let ticket = |index| Ticket { flight: this.as_ptr(), index };
            Self { countdown, tickets: (0..events.len()).map(ticket).collect() }
        });
        if events.is_empty() {
            return flight;
        }
        // librdkafka's share, which the last settled ticket gives back.
        let _ = Arc::into_raw(Arc::clone(&flight));
        let mut messages = Vec::with_capacity(events.len().min(BATCH));
        for places in topic.by_partition(events).chunk_by(|(one, _), (other, _)| one == other) {
            for places in places.chunks(BATCH) {
                messages.clear();
                messages.extend(
                    places.iter().map(|(_, place)| message(&events[*place], &flight.tickets[*place])),
                );
                produce(topic, places[0].0, &mut messages, &mut refused);
            }
        }
        flight
    }
}

/// Hands over `messages`, made by [`message`], each of them once.
fn produce(
    topic: &Topic,
    partition: i32,
    messages: &mut [bindings::rd_kafka_message_t],
    mut refused: impl FnMut(RDKafkaErrorCode),
) {
    let count = messages.len() as i32;
    // SAFETY: the topic is alive. The messages are that many, and point to keys and values that live until the call
    // returns, when librdkafka has copied them; it does not write to them. Their tickets live until their deliveries are
    // settled.
    let taken = unsafe {
        bindings::rd_kafka_produce_batch(
            topic.handle.as_ptr(),
            partition,
            bindings::RD_KAFKA_MSG_F_COPY,
            messages.as_mut_ptr(),
            count,
        )
    };
    if taken == count {
        return;
    }
    for message in messages {
        let error = RDKafkaErrorCode::from(message.err);
        if error != RDKafkaErrorCode::NoError {
            refused(error);
            // SAFETY: the ticket of a message that librdkafka did not take.
            unsafe { Delivery::from_ptr(message._private) }.settle(false);
        }
    }
}

fn message(event: &Event<'_>, ticket: &Ticket) -> bindings::rd_kafka_message_t {
    let (key, value) = (event.postcode.as_bytes(), event.value.as_ref());
    bindings::rd_kafka_message_t {
        err: bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
        rkt: ptr::null_mut(),
        partition: ANY_PARTITION,
        payload: value.as_ptr().cast_mut().cast(),
        len: value.len(),
        key: key.as_ptr().cast_mut().cast(),
        key_len: key.len(),
        offset: 0,
        _private: ptr::from_ref(ticket).cast_mut().cast(),
    }
}

/// The right to settle one event; there is one for each, and whoever has it uses it once.
pub(crate) struct Delivery(NonNull<Ticket>);

// SAFETY: a ticket is shared between threads.
unsafe impl Send for Delivery {}
// SAFETY: as above.
unsafe impl Sync for Delivery {}

impl Delivery {
    /// Kafka has answered for the event, or was never asked. Answers are taken in by the producer's own thread only: another
    /// one could settle the last event while the first is not back from here.
    pub(crate) fn settle(self, is_stored: bool) {
        // SAFETY: librdkafka's share of the flight is given back by its last ticket only, and this one is not settled yet.
        // Whoever settles in another thread at the same time is in `start`, with a share of its own.
        let Ticket { flight, index } = unsafe { self.0.as_ref() };
        let flight = *flight;
        // SAFETY: as above.
        let is_last = unsafe { &*flight }.settle(*index, is_stored);
        if is_last {
            // SAFETY: gives back the share that `start` made of an `Arc`, once; nothing is used after it.
            unsafe { Arc::decrement_strong_count(flight) };
        }
    }
}

impl IntoOpaque for Delivery {
    fn into_ptr(self) -> *mut c_void {
        self.0.as_ptr().cast()
    }

    unsafe fn from_ptr(ticket: *mut c_void) -> Self {
        // SAFETY: librdkafka gives back the `_private` of a message of ours, once; it is never null.
        Self(unsafe { NonNull::new_unchecked(ticket.cast()) })
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use model::Postcode;
    use rdkafka::ClientConfig;
    use rdkafka::message::DeliveryResult;
    use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};

    use super::*;
    use crate::delivery::Budget;

    struct Settle;
    impl ClientContext for Settle {}
    impl ProducerContext for Settle {
        type DeliveryOpaque = Delivery;
        fn delivery(&self, result: &DeliveryResult<'_>, delivery: Delivery) {
            delivery.settle(result.is_ok());
        }
    }

    fn events(count: usize) -> Vec<Event<'static>> {
        let event = Event { postcode: Postcode::parse("N1").unwrap(), value: Cow::Borrowed(b"{}") };
        vec![event; count]
    }

    /// Without a broker: messages are given up after a moment, which settles them as a broker's answer does.
    #[test]
    fn a_flight_holds_its_bytes_until_all_its_events_are_settled_whoever_waits() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:9").set("message.timeout.ms", "300");
        let producer: BaseProducer<Settle> = config.create_with_context(Settle).unwrap();
        let topic = Topic::new(producer.client(), "t").unwrap();
        let budget = Budget::new(100);
        let countdown = Countdown::new(3 * BATCH, budget.reserve(60).unwrap());
        drop(Flight::start(&topic, &events(3 * BATCH), countdown, |error| panic!("{error}")));
        assert_eq!(budget.used(), 60, "events on their way hold their bytes when nobody waits for them");
        producer.flush(std::time::Duration::from_secs(30)).unwrap();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn events_are_handed_over_by_the_partition_that_librdkafka_would_choose_and_in_order() {
        let producer: BaseProducer<Settle> = ClientConfig::new().create_with_context(Settle).unwrap();
        let topic = Topic::new(producer.client(), "t").unwrap();
        let event = |number: usize| Event {
            postcode: Postcode::parse(&format!("SW{}", number % 50)).unwrap(),
            value: Cow::Borrowed(b"{}"),
        };
        let events: Vec<_> = (0..500).map(event).collect();
        assert!(
            topic.by_partition(&events).iter().enumerate().all(|(place, of)| *of == (ANY_PARTITION, place))
        );
        topic.set_partitions(6);
        let places = topic.by_partition(&events);
        assert!(places.is_sorted());
        for (partition, place) in places {
            let key = events[place].postcode;
            // SAFETY: the topic and the key are alive; the partitioner has no use for its opaques.
            let chosen = unsafe {
                bindings::rd_kafka_msg_partitioner_murmur2(
                    topic.handle.as_ptr(),
                    key.as_bytes().as_ptr().cast(),
                    key.as_bytes().len(),
                    6,
                    ptr::null_mut(),
                    ptr::null_mut(),
                )
            };
            assert_eq!(partition, chosen, "{key}");
        }
    }

    #[test]
    fn what_librdkafka_does_not_take_is_settled_and_told() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:9").set("queue.buffering.max.messages", "5");
        let producer: BaseProducer<Settle> = config.create_with_context(Settle).unwrap();
        let topic = Topic::new(producer.client(), "t").unwrap();
        let countdown = Countdown::new(8, Budget::new(1).reserve(1).unwrap());
        let mut refused = Vec::new();
        let flight = Flight::start(&topic, &events(8), countdown, |error| refused.push(error));
        assert_eq!(refused, [RDKafkaErrorCode::QueueFull; 3]);
        assert!(flight.stored().is_empty() && !flight.all_stored());
        producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
        producer.poll(std::time::Duration::from_millis(100));
        assert_eq!(Arc::strong_count(&flight), 1, "librdkafka's share was given back");
    }
}
