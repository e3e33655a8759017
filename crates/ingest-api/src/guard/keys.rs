//! API keys: the file that lists them, and whether one is among them.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use service::config::Config;
use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use super::watched::Files;
use crate::metrics;

/// What a key is called in logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyName(Arc<str>);

/// The keys that are known, of each its name and its digest; nobody can read a key out of this.
#[derive(Debug)]
pub(crate) struct Keys(Vec<(KeyName, [u8; 32])>);

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The file that the configuration names.
pub(crate) fn file(config: &Config) -> Option<Files<Keys>> {
    let path = config.ingest.api_keys_file.clone()?;
    let parse = |contents: &[Vec<u8>]| Keys::parse(&contents[0]);
    Some(Files { setting: "ingest.api_keys_file", paths: vec![path], parse })
}

impl Keys {
    /// Reads a file with a line for each key: the key, or its name and the key. Empty lines and those that start with `#`
    /// say nothing. A key without a name is called by its line, as `key-3`.
    ///
    /// # Errors
    /// Says which line is wrong, without the key.
    fn parse(file: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(file).map_err(|_| "is not UTF-8".to_owned())?;
        let (mut keys, mut digests) = (Vec::new(), HashSet::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let (name, key) = match (words.next(), words.next(), words.next()) {
                (Some(key), None, None) => (format!("key-{number}"), key),
                (Some(name), Some(key), None) => (name.to_owned(), key),
                _ => return Err(format!("line {number}: write a key, or a name and a key")),
            };
            if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(format!("line {number}: a key is visible ASCII characters"));
            }
            let digest = digest(key.as_bytes());
            if !digests.insert(digest) {
                return Err(format!("line {number}: this key stands on another line already"));
            }
            keys.push((KeyName(name.into()), digest));
        }
        if keys.is_empty() {
            return Err("has no key: write one a line, or unset it to ask for none".to_owned());
        }
        Ok(Self(keys))
    }

    /// The name of `key`. It takes the same time whatever is given: digests are compared, each with every one, to the end.
    pub(crate) fn find(&self, key: &[u8]) -> Option<KeyName> {
        let digest = digest(key);
        let mut found = u64::MAX;
        for (index, (_, known)) in (0_u64..).zip(&self.0) {
            found = u64::conditional_select(&found, &index, known.ct_eq(&digest));
        }
        self.0.get(usize::try_from(found).ok()?).map(|(name, _)| name.clone())
    }

    /// Says how many there are.
    pub(crate) fn tell(&self) {
        metrics::api_keys(self.0.len());
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_their_names() {
        let keys = Keys::parse(b"# shop\nshop  s3cret\n\n  plain \r\n").unwrap();
        let name = |key: &[u8]| keys.find(key).map(|name| name.to_string());
        assert_eq!(name(b"s3cret").as_deref(), Some("shop"));
        assert_eq!(name(b"plain").as_deref(), Some("key-4"));
        for wrong in [&b""[..], b"shop", b"s3cre", b"s3cret ", b"# shop"] {
            assert_eq!(name(wrong), None);
        }
        assert!(!format!("{keys:?}").contains("s3cret"));
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_and_no_key_is_told() {
        for (file, words) in [
            (&b"\n# none\n"[..], "has no key"),
            (b"a\na secret three words", "line 2"),
            (b"x secret\ny secret", "line 2"),
            ("a sécret".as_bytes(), "line 1"),
            (b"\xff", "UTF-8"),
        ] {
            let error = Keys::parse(file).unwrap_err();
            assert!(error.contains(words) && !error.contains("secret"), "{error}");
        }
    }
}
