//! The content checksum: what an object holds, whatever it was encoded or compressed with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// SHA-256 over the records of an object in offset order. For each record:
///
/// | bytes | what |
/// | --- | --- |
/// | 8 | offset, signed, big-endian |
/// | 4 | length of the value in bytes, signed, big-endian; -1 when the value is null |
/// | length | the value as it lies in Kafka; nothing when it is null |
///
/// Integers are as on Kafka's own wire, so a null value (-1) and an empty one (0) differ. Keys, headers and timestamps
/// are not part of it. Written as `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum([u8; 32]);

/// Computes a [`Checksum`] record by record.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

/// Text that is no checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no content checksum: it is written as sha256: and 64 lower-case hexadecimal digits")]
pub struct InvalidChecksum(String);

const PREFIX: &str = "sha256:";

impl Hasher {
    /// Adds the next record. The caller keeps them in offset order.
    pub fn record(&mut self, offset: i64, value: Option<&[u8]>) {
        let mut head = [0; 12];
        head[..8].copy_from_slice(&offset.to_be_bytes());
        head[8..].copy_from_slice(&length(value).to_be_bytes());
        self.0.update(head);
        self.0.update(value.unwrap_or_default());
    }

    /// The checksum of the records added.
    #[must_use]
    pub fn finish(self) -> Checksum {
        Checksum(self.0.finalize().into())
    }
}

/// Kafka's length of a value: 32 bits signed, as its record format has it.
fn length(value: Option<&[u8]>) -> i32 {
    value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX))
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Checksum {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| InvalidChecksum(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Checksum> {
    let digits = text.strip_prefix(PREFIX)?.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect::<Option<_>>()?;
    if rest.is_empty() { bytes.try_into().ok().map(Checksum) } else { None }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[(i64, Option<&[u8]>)]) -> String {
        let mut hasher = Hasher::default();
        records.iter().for_each(|(offset, value)| hasher.record(*offset, *value));
        hasher.finish().to_string()
    }

    /// Golden: computed with `printf '\0\0\0\0\0\0\0\7\0\0\0\2hi' | sha256sum` and so on.
    #[test]
    fn the_bytes_hashed_never_change() {
        assert_eq!(of(&[(7, Some(b"hi"))]), GOLDEN_ONE);
        assert_eq!(of(&[(7, Some(b"hi")), (9, None), (10, Some(b""))]), GOLDEN_THREE);
    }
    const GOLDEN_ONE: &str = "sha256:8001e44e9f3204855f5c4945fe2625c3515f16d3c6a6be2d14a0a2f325b72859";
    const GOLDEN_THREE: &str = "sha256:b74ed91f99291bfaf7c507b434d472e0b6582f8f8001e6dc7c8e660fff206923";

    #[test]
    fn null_and_empty_differ_and_so_do_offsets() {
        assert_ne!(of(&[(1, None)]), of(&[(1, Some(b""))]));
        assert_ne!(of(&[(1, Some(b"a"))]), of(&[(2, Some(b"a"))]));
        assert_ne!(of(&[(1, Some(b"ab")), (2, Some(b""))]), of(&[(1, Some(b"a")), (2, Some(b"b"))]));
    }

    #[test]
    fn it_is_read_back_as_written() {
        let text = of(&[(3, Some(b"x"))]);
        assert_eq!(text.parse::<Checksum>().unwrap().to_string(), text);
        for bad in ["", "sha256:", &text[..70], &text.to_uppercase(), &format!("{text}00"), &text[7..]] {
            assert!(bad.parse::<Checksum>().is_err(), "{bad}");
        }
    }
}
