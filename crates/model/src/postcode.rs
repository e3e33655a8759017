//! The key of every count.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 1 to 16 of `A-Z`, `0-9`, space and `-`: trimmed and upper-cased. Small and `Copy`, so counting allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Postcode {
    /// Padded with zeros, which no postcode contains: equal arrays are equal postcodes.
    bytes: [u8; Postcode::MAX_LEN],
    len: u8,
}

/// The upper-cased letter of each byte, zero where it may not be in a postcode: one look-up a byte, and no branch.
const UPPER_CASE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        if matches!(byte, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b' ' | b'-') {
            table[byte as usize] = byte.to_ascii_uppercase();
        }
        byte += 1;
    }
    table
};

/// Text that is no postcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 16 letters (A-Z), digits, spaces or hyphens")]
pub struct InvalidPostcode;

impl Postcode {
    /// The most characters a postcode has after trimming.
    pub const MAX_LEN: usize = 16;

    /// Trims, upper-cases and checks `text`.
    ///
    /// # Errors
    /// [`InvalidPostcode`] when it is empty, too long, or has another character.
    pub fn parse(text: &str) -> Result<Self, InvalidPostcode> {
        Self::parse_bytes(text.as_bytes())
    }

    pub(crate) fn parse_bytes(text: &[u8]) -> Result<Self, InvalidPostcode> {
        let text = text.trim_ascii();
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(InvalidPostcode);
        }
        let mut bytes = [0; Self::MAX_LEN];
        let mut valid = true;
        for (to, from) in bytes.iter_mut().zip(text) {
            *to = UPPER_CASE[usize::from(*from)];
            valid &= *to != 0;
        }
        if valid { Ok(Self { bytes, len: text.len() as u8 }) } else { Err(InvalidPostcode) }
    }

    /// The upper-cased text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every byte was checked to be ASCII.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The upper-cased text as bytes: the key of the Kafka record.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Hash for Postcode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        u128::from_ne_bytes(self.bytes).hash(state);
    }
}

impl fmt::Debug for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Postcode {
    type Err = InvalidPostcode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Serialize for Postcode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Postcode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postcodes_are_trimmed_and_upper_cased() {
        assert_eq!(Postcode::parse(" sw19 4aa ").unwrap().as_str(), "SW19 4AA");
        assert_eq!(Postcode::parse("sw19"), Postcode::parse("SW19"));
    }

    #[test]
    fn sixteen_characters_fit_and_seventeen_do_not() {
        assert!(Postcode::parse("A-2345678901234Z").is_ok());
        assert_eq!(Postcode::parse("A-2345678901234ZZ"), Err(InvalidPostcode));
    }

    #[test]
    fn anything_but_letters_digits_spaces_and_hyphens_is_refused() {
        for bad in ["", "  ", "SW19\u{0}", "SW_19", "ŚW19", "SW19\n1"] {
            assert_eq!(Postcode::parse(bad), Err(InvalidPostcode), "{bad:?}");
        }
    }
}
