//! The headers of a record, whoever wrote them.
#![expect(
    unsafe_code,
    reason = "rdkafka panics on a header whose name is not UTF-8; librdkafka gives its bytes"
)]

use std::borrow::Cow;
use std::ffi::CStr;
use std::ptr;

use rdkafka::bindings::{self, rd_kafka_message_t};
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaRespErr;

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name; bytes that are not UTF-8 are replaced (U+FFFD).
    pub name: Cow<'a, str>,
    /// Its value, any bytes or none.
    pub value: Option<&'a [u8]>,
}

/// The headers of `message`, in their order. A name may repeat.
#[must_use]
pub fn headers<'a>(message: &'a BorrowedMessage<'_>) -> Vec<Header<'a>> {
    // SAFETY: the message is alive for as long as it is borrowed, and so are its headers.
    unsafe { native_headers(message.ptr()) }
}

/// # Safety
/// `message` must be alive for all of `'a`.
pub(super) unsafe fn native_headers<'a>(message: *mut rd_kafka_message_t) -> Vec<Header<'a>> {
    let mut found = Vec::new();
    let mut headers = ptr::null_mut();
    unsafe {
        if bindings::rd_kafka_message_headers(message, &raw mut headers)
            != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            return found;
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            let answer = bindings::rd_kafka_header_get_all(
                headers,
                index,
                &raw mut name,
                &raw mut value,
                &raw mut size,
            );
            if answer != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                break;
            }
            let name = CStr::from_ptr(name).to_string_lossy();
            let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast(), size));
            found.push(Header { name, value });
        }
    }
    found
}
