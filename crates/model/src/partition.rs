//! Which partition Kafka's clients send a key to: murmur2 of its bytes, without the sign, modulo the partitions. Source:
//! `org.apache.kafka.common.utils.Utils.murmur2`.

/// The partition of `key`, as [`crate::topic::PARTITIONER`] chooses it among so many.
///
/// # Panics
/// Of no partitions.
#[must_use]
pub const fn partition(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7FFF_FFFF) as i32 % partitions
}

const fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5BD1_E995;
    let mut hash = 0x9747_B28C ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    let mut index = 0;
    while index < words.len() {
        let mut word = u32::from_le_bytes(words[index]).wrapping_mul(M);
        word = (word ^ (word >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ word;
        index += 1;
    }
    if !rest.is_empty() {
        let mut index = rest.len();
        while index > 0 {
            index -= 1;
            hash ^= (rest[index] as u32) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest`.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        let vectors = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }
}
