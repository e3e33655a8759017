//! The fast path for events of the usual shape: one pass over the bytes, nothing copied.
//!
//! What it accepts is what [`Pageview::parse`] accepts, to the same fields; where it is not sure it says nothing, and the
//! whole JSON grammar is asked instead. Usual is: a flat object of strings without escapes, whole numbers, `true`,
//! `false` and `null`, every known field once.

use std::borrow::Cow;

use crate::pageview::{Pageview, valid_event_id, valid_timestamp, valid_webpage};
use crate::{EpochSeconds, Postcode};

/// An event of the usual shape that other bytes follow, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned<'a> {
    /// The event.
    pub pageview: Pageview<'a>,
    /// How many bytes it takes.
    pub len: usize,
    /// Whether CR or LF stands between its tokens.
    pub has_line_breaks: bool,
}

/// The event, if it is one of the usual shape.
pub(crate) fn scan(json: &[u8]) -> Option<Pageview<'_>> {
    let json = &json[json.iter().position(|byte| !is_space(*byte))?..];
    let Scanned { pageview, len, .. } = scan_first(json)?;
    json[len..].iter().all(|byte| is_space(*byte)).then_some(pageview)
}

/// The event that `bytes` start with, if it is one of the usual shape.
pub(crate) fn scan_first(bytes: &[u8]) -> Option<Scanned<'_>> {
    let mut input = Input { bytes, at: 0, has_line_breaks: false };
    let (mut user_id, mut postcode, mut webpage, mut timestamp, mut event_id) =
        (None, None, None, None, None);
    input.expect(b'{')?;
    loop {
        input.skip_spaces();
        let key = input.key()?;
        input.skip_spaces();
        input.expect(b':')?;
        input.skip_spaces();
        match key {
            Key::UserId => once(&mut user_id, input.number()?)?,
            Key::Timestamp => once(&mut timestamp, input.number()?)?,
            Key::Postcode => once(&mut postcode, input.string()?)?,
            Key::Webpage => once(&mut webpage, input.string()?)?,
            Key::EventId => once(&mut event_id, input.string()?)?,
            Key::Other => input.skip_value()?,
        }
        input.skip_spaces();
        match input.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let webpage = std::str::from_utf8(webpage?).ok().filter(|text| valid_webpage(text))?;
    let event_id = match event_id {
        Some(id) => Some(std::str::from_utf8(id).ok().filter(|text| valid_event_id(text))?),
        None => None,
    };
    let timestamp = i64::try_from(timestamp?).ok().filter(|seconds| valid_timestamp(*seconds))?;
    let pageview = Pageview {
        user_id: user_id?,
        postcode: Postcode::parse_bytes(postcode?).ok()?,
        webpage: Cow::Borrowed(webpage),
        timestamp: EpochSeconds(timestamp),
        event_id: event_id.map(Cow::Borrowed),
    };
    Some(Scanned { pageview, len: input.at, has_line_breaks: input.has_line_breaks })
}

/// What JSON allows between tokens (RFC 8259, section 2).
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    match field.replace(value) {
        None => Some(()),
        Some(_) => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    UserId,
    Postcode,
    Webpage,
    Timestamp,
    EventId,
    Other,
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    has_line_breaks: bool,
}

impl<'a> Input<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn skip_spaces(&mut self) {
        while let Some(space) = self.peek().filter(|byte| is_space(*byte)) {
            self.has_line_breaks |= matches!(space, b'\n' | b'\r');
            self.at += 1;
        }
    }

    /// A key. The first letter tells which of the known ones it can be.
    fn key(&mut self) -> Option<Key> {
        let known = match self.bytes.get(self.at + 1)? {
            b'u' => self.literal(b"\"user_id\"").then_some(Key::UserId),
            b'p' => self.literal(b"\"postcode\"").then_some(Key::Postcode),
            b'w' => self.literal(b"\"webpage\"").then_some(Key::Webpage),
            b't' => self.literal(b"\"timestamp\"").then_some(Key::Timestamp),
            b'e' => self.literal(b"\"event_id\"").then_some(Key::EventId),
            _ => None,
        };
        known.or_else(|| self.string().map(|_| Key::Other))
    }

    /// Passes `literal`, if it is what comes; its length is known, so this compares words and calls nothing.
    fn literal<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        let here = self.bytes[self.at..].first_chunk() == Some(literal);
        self.at += if here { N } else { 0 };
        here
    }

    /// What stands between quotes, if nothing in it is escaped, and it is UTF-8.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        let mut is_ascii = true;
        loop {
            self.at += plain_bytes(&self.bytes[self.at..]);
            match self.next()? {
                b'"' => break,
                0x80.. => is_ascii = false,
                b'\\' | ..0x20 => return None,
                _ => {}
            }
        }
        let text = &self.bytes[start..self.at - 1];
        (is_ascii || std::str::from_utf8(text).is_ok()).then_some(text)
    }

    /// A whole number from zero, of so few digits that 64 bits hold it, without a fraction or an exponent.
    fn number(&mut self) -> Option<u64> {
        const MAX_DIGITS: usize = 19;
        let start = self.at;
        let mut number: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = &self.bytes[start..self.at];
        let leading_zero = digits.len() > 1 && digits[0] == b'0';
        let ends = matches!(self.peek()?, b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        ((1..=MAX_DIGITS).contains(&digits.len()) && !leading_zero && ends).then_some(number)
    }

    fn skip_value(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => drop(self.string()?),
            b'0'..=b'9' => drop(self.number()?),
            _ => {
                let rest = &self.bytes[self.at..];
                let literal =
                    [&b"true"[..], b"false", b"null"].into_iter().find(|word| rest.starts_with(word))?;
                self.at += literal.len();
            }
        }
        Some(())
    }
}

/// How many bytes from the start are plain: eight at a time, and no quote, backslash, control character, or part of a
/// character beyond ASCII among them (Mycroft's test for a zero byte).
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let (chunks, _) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let special = (zero(quote) | zero(backslash) | below_space | word) & HIGH;
        if special != 0 {
            // A borrow may mark bytes above the first special one, but none below.
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    chunks.len() * 8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pageview::parse_slowly;

    const USUAL: &str = r#"{"user_id":1234,"postcode":"SW19 4aa","webpage":"www.website.com/index.html","timestamp":1611662684}"#;

    #[test]
    fn the_usual_shapes_are_taken() {
        let with_more =
            format!(r#" {{ "a" : "café" , "b":0,"c":true ,"d":null,"event_id":"x", {} "#, &USUAL[1..]);
        for json in [USUAL, with_more.as_str()] {
            assert_eq!(scan(json.as_bytes()), parse_slowly(json.as_bytes()).ok(), "{json}");
            assert!(scan(json.as_bytes()).is_some(), "{json}");
        }
    }

    /// Pieces of JSON, right and wrong, in any order.
    fn json() -> impl Strategy<Value = Vec<u8>> {
        let key = prop_oneof![
            8 => prop::sample::select(vec!["user_id", "postcode", "webpage", "timestamp", "event_id"]).prop_map(str::to_owned),
            1 => prop::sample::select(vec!["x", "", r"user\u005fid", "é", "user_id "]).prop_map(str::to_owned),
        ];
        let value = prop_oneof![
            4 => any::<u32>().prop_map(|number| number.to_string()),
            4 => "[a-zA-Z0-9 -]{0,18}".prop_map(|text| format!("\"{text}\"")),
            2 => "\\PC{0,12}".prop_map(|text| format!("\"{text}\"")),
            2 => prop::sample::select(vec![
                "00", "-1", "1.0", "1e3", "18446744073709551615", "18446744073709551616", "253402300800", "true", "nul",
                "null", "[1]", "{}", "\"a\\nb\"", "\"\\u0041\"", "\"\u{1}\"", "\"", "",
            ]).prop_map(str::to_owned),
        ];
        let space = prop::sample::select(vec!["", "", "", " ", "\n", "\t", "\u{b}"]);
        let field =
            (key, value, space).prop_map(|(key, value, space)| format!("\"{key}\"{space}:{space}{value}"));
        let usual = (any::<u64>(), "[A-Za-z0-9 -]{1,16}", "[ -~é]{1,40}", 0_u64..=300_000_000_000).prop_map(
            |(user, postcode, webpage, timestamp)| {
                vec![
                    format!(r#""user_id":{user}"#),
                    format!(r#""postcode":"{postcode}""#),
                    format!(r#""webpage":"{webpage}""#),
                    format!(r#""timestamp":{timestamp}"#),
                ]
            },
        );
        let fields =
            (usual, prop::collection::vec(field, 0..3), any::<bool>()).prop_map(|(usual, more, first)| {
                if first { [more, usual].concat() } else { [usual, more].concat() }
            });
        let text = fields.prop_map(|fields| format!("{{{}}}", fields.join(",")).into_bytes());
        let change = prop::option::of((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()));
        (text, change).prop_map(|(mut text, change)| {
            if let Some((at, byte, cut)) = change {
                let at = at.index(text.len());
                if cut { text.truncate(at) } else { text[at] = byte }
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_taken_is_what_the_grammar_takes(json in json()) {
            if let Some(pageview) = scan(&json) {
                prop_assert_eq!(parse_slowly(&json), Ok(pageview), "{}", String::from_utf8_lossy(&json));
            }
        }

        #[test]
        fn plain_bytes_end_at_the_first_special_one(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..);
            let first = bytes.iter().position(special).unwrap_or(bytes.len());
            let found = plain_bytes(&bytes);
            prop_assert!(found <= first);
            prop_assert!(found == first || first - found < 8 && found.is_multiple_of(8));
        }
    }
}
