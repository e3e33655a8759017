//! Reads typed values out of the layers, and notes every mistake instead of stopping at the first.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::layers::{Layers, Origin, PROPERTIES};
use super::setting::Setting;

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key, or the file where no key is to blame.
    pub key: String,
    origin: Option<Origin>,
    detail: String,
}

/// A key as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The dotted key.
    pub key: &'static str,
    /// Its default, as one would write it; empty is unset.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// What is left to read, and what went wrong so far.
pub(super) struct Keys {
    layers: Layers,
    known: Vec<Reference>,
    mistakes: Vec<Mistake>,
    effective: Vec<(String, String)>,
}

impl Keys {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers, known: Vec::new(), mistakes: Vec::new(), effective: Vec::new() }
    }

    /// The value of `key`, or its `default` where it is not set, or set wrongly.
    pub(super) fn read<T: Setting>(
        &mut self,
        key: &'static str,
        default: &'static str,
        doc: &'static str,
    ) -> T {
        self.known.push(Reference { key, default, doc });
        let set = self.layers.values.remove(key);
        self.effective.push((key.to_owned(), set.as_ref().map_or(default, |(text, _)| text).to_owned()));
        if let Some((text, origin)) = set {
            match T::parse(&text) {
                Ok(value) => return value,
                Err(detail) => self.mistake(key, Some(origin), &format!("{text:?}: {detail}")),
            }
        }
        T::parse(default).unwrap_or_else(|detail| unreachable!("the default of {key} is wrong: {detail}"))
    }

    /// librdkafka's own properties. Those that carry a guarantee are ours.
    pub(super) fn properties(&mut self, ours: &[&str]) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        let after = self.layers.values.split_off(PROPERTIES);
        for (key, (text, origin)) in after {
            let Some(name) = key.strip_prefix(PROPERTIES) else {
                self.layers.values.insert(key, (text, origin));
                continue;
            };
            if ours.contains(&name) {
                self.mistake(
                    &key,
                    Some(origin),
                    "is the service's own to set: a delivery guarantee rests on it",
                );
                continue;
            }
            self.effective
                .push((key.clone(), if is_secret(name) { "(not shown)".into() } else { text.clone() }));
            properties.insert(name.to_owned(), text);
        }
        properties
    }

    /// Notes a mistake about a value that was read well, unless `holds`.
    pub(super) fn require(&mut self, holds: bool, key: &str, detail: &str) {
        if !holds {
            self.mistake(key, None, detail);
        }
    }

    /// What was read, as text; the mistakes instead if there are any, unknown keys among them.
    pub(super) fn finish(mut self) -> Result<Vec<(String, String)>, Vec<Mistake>> {
        for (key, (_, origin)) in std::mem::take(&mut self.layers.values) {
            let nearest = self
                .known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known.key, &key), known.key))
                .min()
                .filter(|(distance, _)| *distance <= 4);
            let hint = nearest.map_or_else(String::new, |(_, known)| format!(": did you mean {known}?"));
            self.mistake(&key, Some(origin), &format!("unknown key{hint}"));
        }
        if self.mistakes.is_empty() { Ok(self.effective) } else { Err(self.mistakes) }
    }

    pub(super) fn known(self) -> Vec<Reference> {
        self.known
    }

    fn mistake(&mut self, key: &str, origin: Option<Origin>, detail: &str) {
        self.mistakes.push(Mistake { key: key.to_owned(), origin, detail: detail.to_owned() });
    }
}

/// Whether librdkafka's property `name` holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    ["pass", "secret", "key.pem", "token", "jaas"].iter().any(|part| name.contains(part))
}

impl Mistake {
    pub(super) fn file(path: &Path, detail: &str) -> Self {
        Self { key: path.display().to_string(), origin: None, detail: detail.to_owned() }
    }

    pub(super) fn environment(detail: &str) -> Self {
        Self { key: "environment".to_owned(), origin: None, detail: detail.to_owned() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{} ({origin}): {}", self.key, self.detail),
            None => write!(f, "{}: {}", self.key, self.detail),
        }
    }
}
