//! The metadata committed beside an offset, whoever committed it.
#![expect(unsafe_code, reason = "rdkafka panics on metadata that is not UTF-8; librdkafka gives its bytes")]

use std::ffi::CString;
use std::slice;

use rdkafka::TopicPartitionList;
use rdkafka::bindings;

/// The metadata of a partition in `list`; `None` if the partition is not in it. Any bytes: whoever may commit to the
/// group chose them.
#[must_use]
pub fn metadata<'a>(list: &'a TopicPartitionList, topic: &str, partition: i32) -> Option<&'a [u8]> {
    let topic = CString::new(topic).ok()?;
    // SAFETY: the list is alive, and the name for the length of the call; what is found belongs to the list, which
    // nobody can change while it is borrowed.
    unsafe {
        let found = bindings::rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), partition);
        let found = found.as_ref()?;
        if found.metadata.is_null() {
            return Some(&[]);
        }
        Some(slice::from_raw_parts(found.metadata.cast(), found.metadata_size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_whatever_its_bytes() {
        let mut list = TopicPartitionList::new();
        list.add_partition("t", 0).set_metadata("v1 ledger=7");
        list.add_partition("t", 1).set_metadata("v1 ?");
        list.add_partition("t", 2);
        // SAFETY: the list is alive and ours alone, its second element was given four bytes just now.
        unsafe { (*(*list.ptr()).elems.add(1)).metadata.cast::<u8>().add(3).write(0xff) };
        assert_eq!(metadata(&list, "t", 0), Some(&b"v1 ledger=7"[..]));
        assert_eq!(metadata(&list, "t", 1), Some(&b"v1 \xff"[..]));
        assert_eq!(metadata(&list, "t", 2), Some(&b""[..]));
        assert_eq!(metadata(&list, "t", 3), None);
    }
}
