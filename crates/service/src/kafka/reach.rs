//! Whether a client reaches its cluster, and how it gets back to one that it has lost.
#![expect(
    unsafe_code,
    reason = "rdkafka 0.39 wraps neither rd_kafka_conf_get of a client nor rd_kafka_brokers_add"
)]

use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings::{self, rd_kafka_conf_res_t, rd_kafka_t};
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::KafkaResult;
use rdkafka::metadata::Metadata;

const BOOTSTRAP_SERVERS: &CStr = c"bootstrap.servers";

/// Whether a broker answers within `timeout`. To be asked again and again while none does: it is also how a client gets
/// back to brokers that were all away.
pub fn reaches<C: ClientContext>(client: &Client<C>, timeout: Duration) -> bool {
    look(client, timeout).is_ok()
}

/// Asks what the cluster looks like now, which the client remembers.
///
/// A client forgets the brokers that an answer does not name, and while the controller takes all of them for dead, as it
/// does for a moment after a long pause of the only one, an answer names none. librdkafka 2.12 then starts again from the
/// bootstrap servers, unless a race within it makes it forget to, and it waits for ever (its issue 5301). So a client
/// without an answer is given them again, which changes nothing for one that has them still, but for some bytes of memory.
pub(super) fn look<C: ClientContext>(client: &Client<C>, timeout: Duration) -> KafkaResult<Metadata> {
    // All of its topics: asking for a topic by name would create it where brokers create topics by themselves.
    let answer = client.fetch_metadata(None, timeout);
    if answer.is_err() {
        // SAFETY: the client outlives the call.
        unsafe { add_bootstrap_servers(client.native_ptr()) };
    }
    answer
}

/// # Safety
/// `client` must be alive.
unsafe fn add_bootstrap_servers(client: *mut rd_kafka_t) {
    // SAFETY: the configuration is the client's own and read only. Without a buffer librdkafka tells the length of the
    // value and its NUL, and with one it writes no more than that. It copies the list of brokers.
    unsafe {
        let (conf, name) = (bindings::rd_kafka_conf(client), BOOTSTRAP_SERVERS.as_ptr());
        let mut size = 0;
        let found = bindings::rd_kafka_conf_get(conf, name, ptr::null_mut(), &raw mut size);
        if found != rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
            return;
        }
        let mut value = vec![0_u8; size];
        bindings::rd_kafka_conf_get(conf, name, value.as_mut_ptr().cast(), &raw mut size);
        if let Ok(servers) = CString::from_vec_with_nul(value) {
            bindings::rd_kafka_brokers_add(client, servers.as_ptr());
        }
    }
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
