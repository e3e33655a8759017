//! How a value of each type is written.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Reads it, as written in a file or a variable.
    ///
    /// # Errors
    /// What is expected instead, in words.
    fn parse(text: &str) -> Result<Self, String>;
}

/// A number of bytes, written `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// Requests in a time, written `100/s`, `600/min` or `5000/h`; a number alone is a second's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub requests: NonZeroU32,
    /// In how long.
    pub per: Duration,
}

/// An origin as browsers tell it (RFC 6454): scheme, host, and port where it is not the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`
    Any,
    /// Such as `https://shop.example:8443`.
    One(String),
}

/// Which rebalance protocol a consumer group uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The protocol of all brokers, here with `cooperative-sticky` assignment (KIP-429).
    Classic,
    /// The broker assigns (KIP-848; Kafka 4.0 and later).
    Consumer,
}

/// How the objects of a writer are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A line of JSON a record.
    Ndjson,
    /// The same, as a gzip file.
    NdjsonGz,
    /// The same, as a Zstandard file.
    NdjsonZst,
    /// Apache Parquet, its pages compressed with Zstandard.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Ndjson, Self::NdjsonGz, Self::NdjsonZst, Self::Parquet];

    /// Its name in the configuration, and the extension of its files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::NdjsonGz => "ndjson.gz",
            Self::NdjsonZst => "ndjson.zst",
            Self::Parquet => "parquet",
        }
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl Setting for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        String::parse(text).map(Self::from)
    }
}

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "write true or false".to_owned())
    }
}

impl Setting for u16 {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "write a whole number from 0 to 65535".to_owned())
    }
}

impl Setting for usize {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "write a whole number".to_owned())
    }
}

/// Empty is unset.
impl<T: Setting> Setting for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }
}

/// Separated by commas.
impl<T: Setting> Setting for Vec<T> {
    fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::parse).collect()
    }
}

impl Setting for RateLimit {
    fn parse(text: &str) -> Result<Self, String> {
        let mend = || "write how many requests in which time, such as 100/s, 600/min or 5000/h".to_owned();
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let per = match unit.trim() {
            "s" => 1,
            "min" | "m" => 60,
            "h" => 3600,
            _ => return Err(mend()),
        };
        let requests = number.trim().parse().map_err(|_| mend())?;
        Ok(Self { requests, per: Duration::from_secs(per) })
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per.as_secs() {
            60 => "min",
            3600 => "h",
            _ => "s",
        };
        write!(f, "{}/{unit}", self.requests)
    }
}

impl Setting for Origin {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_host = |host: &str| {
            let allowed =
                |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b':' | b'[' | b']');
            !host.is_empty() && host.bytes().all(allowed)
        };
        if host.is_some_and(is_host) {
            return Ok(Self::One(text.to_owned()));
        }
        Err("write an origin as browsers do, in lower case and without a path: https://shop.example"
            .to_owned())
    }
}

impl Setting for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let in_unit: fn(f64) -> f64 = match unit {
            "ms" => |value| value / 1000.0,
            "s" => |value| value,
            "m" | "min" => |value| value * 60.0,
            "h" => |value| value * 3600.0,
            "d" => |value| value * 86_400.0,
            _ => return Err("write a duration with its unit, such as 500ms, 30s, 5min, 1h or 7d".to_owned()),
        };
        let value: f64 = number.parse().map_err(|_| "the number before the unit is wrong".to_owned())?;
        Self::try_from_secs_f64(in_unit(value)).map_err(|error| error.to_string())
    }
}

impl Setting for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let (number, unit) = split(text);
        let scale = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err("write a size with its unit, such as 512KiB, 64MiB or 2GiB".to_owned()),
        };
        let value: u64 = number.parse().map_err(|_| "the number before the unit is wrong".to_owned())?;
        value.checked_mul(scale).map(Self).ok_or_else(|| "too large".to_owned())
    }
}

impl Setting for GroupProtocol {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "classic" => Ok(Self::Classic),
            "consumer" => Ok(Self::Consumer),
            _ => Err("write classic or consumer".to_owned()),
        }
    }
}

impl Setting for Format {
    fn parse(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.name() == text);
        known.ok_or_else(|| "write ndjson, ndjson.gz, ndjson.zst or parquet".to_owned())
    }
}

/// `"30s"` -> `("30", "s")`.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in
            [("30s", 30_000), ("500ms", 500), ("5min", 300_000), ("1h", 3_600_000), ("1.5 s", 1500)]
        {
            assert_eq!(Duration::parse(text).unwrap().as_millis(), millis, "{text}");
        }
        for bad in ["30", "s", "-1s", "1 fortnight", "", "1e400d"] {
            assert!(Duration::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("64MiB", 64 << 20), ("100", 100), ("2kB", 2000)] {
            assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
        }
        for bad in ["64 megs", "MiB", "1.5MiB", "99999999999GiB"] {
            assert!(Bytes::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_have_a_time() {
        for (text, written) in [("100", "100/s"), ("600/min", "600/min"), ("5 / h", "5/h")] {
            assert_eq!(RateLimit::parse(text).unwrap().to_string(), written);
        }
        for bad in ["0", "-1/s", "1.5/s", "10/day", "/s", "1/s/s"] {
            assert!(RateLimit::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        let origins = Vec::<Origin>::parse("https://shop.example, http://localhost:3000").unwrap();
        assert_eq!(origins.len(), 2);
        assert_eq!(Origin::parse("*"), Ok(Origin::Any));
        for bad in ["shop.example", "https://shop.example/", "https://Shop.example", "https://", "null"] {
            assert!(Vec::<Origin>::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn empty_is_unset() {
        assert_eq!(Option::<u16>::parse(""), Ok(None));
        assert_eq!(Option::<u16>::parse("7"), Ok(Some(7)));
        assert!(String::parse("").is_err());
    }
}
