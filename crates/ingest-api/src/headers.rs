//! The headers of a request that say what its body is. Pure.

use crate::problem::{MAX_QUOTED, Problem};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Gives each event of a request an id, so that a retry of the request counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The most characters it may have: with an index behind it, an `event_id` has no more than it may.
    pub const MAX_LEN: usize = 50;

    /// Reads the header `Idempotency-Key`, with or without quotes around it.
    ///
    /// # Errors
    /// 400 when it has no character, too many, or one that an id may not have.
    pub fn parse(header: &[u8]) -> Result<Self, Problem> {
        let header = header.trim_ascii();
        let unquoted = header.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        let key = unquoted.unwrap_or(header);
        let valid = (1..=Self::MAX_LEN).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        match std::str::from_utf8(key) {
            Ok(key) if valid => Ok(Self(key.to_owned())),
            _ => Err(Problem::invalid(
                format!("Idempotency-Key must be 1 to {} visible ASCII characters", Self::MAX_LEN),
                Vec::new(),
            )),
        }
    }

    /// The id of the event `index` of the request.
    #[must_use]
    pub fn event_id(&self, index: usize) -> String {
        format!("{}:{index}", self.0)
    }
}

/// Checks the content type: JSON, or the same as text, which is what browsers' `sendBeacon` may send unasked.
///
/// # Errors
/// 415 for another one, and for none.
pub fn check_content_type(content_type: Option<&[u8]>) -> Result<(), Problem> {
    let Some(content_type) = content_type else {
        return Err(Problem::unsupported("Content-Type is missing: send JSON as application/json".into()));
    };
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let known = [&b"application/json"[..], b"text/plain"];
    if known.iter().any(|known| media_type.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Problem::unsupported(format!(
        "Content-Type {} is not understood: send JSON as application/json or text/plain",
        quoted(media_type)
    )))
}

fn quoted(text: &[u8]) -> impl std::fmt::Display {
    text[..text.len().min(MAX_QUOTED)].escape_ascii()
}

impl Coding {
    /// Reads the header `Content-Encoding`.
    ///
    /// # Errors
    /// 415 for any other coding, or several.
    pub fn parse(header: Option<&[u8]>) -> Result<Self, Problem> {
        let Some(header) = header else { return Ok(Self::Identity) };
        let name = header.trim_ascii().to_ascii_lowercase();
        match name.as_slice() {
            b"identity" | b"" => Ok(Self::Identity),
            // RFC 9110, section 8.4.1.3: the old name is the same coding.
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            other => Err(Problem::unsupported_coding(format!(
                "Content-Encoding {} is not understood: send gzip, zstd, or the body as it is",
                quoted(other)
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_is_taken_with_or_without_its_name() {
        assert!(check_content_type(Some(b"application/json; charset=utf-8")).is_ok());
        assert!(check_content_type(Some(b"text/plain;charset=UTF-8")).is_ok());
        assert_eq!(check_content_type(Some(b"application/xml")).unwrap_err().status, 415);
        assert_eq!(check_content_type(None).unwrap_err().status, 415);
    }

    #[test]
    fn two_codings_are_taken_alone() {
        for (header, coding) in
            [(&b"GZIP"[..], Coding::Gzip), (b"zstd", Coding::Zstd), (b"identity", Coding::Identity)]
        {
            assert_eq!(Coding::parse(Some(header)).unwrap(), coding);
        }
        for header in [&b"br"[..], b"gzip, gzip", b"deflate"] {
            assert_eq!(Coding::parse(Some(header)).unwrap_err().status, 415);
        }
    }

    #[test]
    fn a_key_is_visible_ascii_and_leaves_room_for_an_index() {
        let longest = "x".repeat(IdempotencyKey::MAX_LEN);
        assert_eq!(IdempotencyKey::parse(b" \"a-1\" ").unwrap().event_id(9_999), "a-1:9999");
        let id = IdempotencyKey::parse(longest.as_bytes()).unwrap().event_id(9_999);
        assert!(id.len() <= model::Pageview::MAX_EVENT_ID_LEN);
        for bad in [&b""[..], b"\"\"", b"a b", "é".as_bytes(), format!("{longest}x").as_bytes()] {
            assert_eq!(IdempotencyKey::parse(bad).unwrap_err().status, 400, "{}", bad.escape_ascii());
        }
    }
}
