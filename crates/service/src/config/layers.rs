//! The layers of a configuration, flattened: dotted key -> text, and where it was written.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Source as _, Value, ValueKind};

use super::keys::Mistake;
use super::{FILE_VARIABLE, PROFILE_VARIABLE};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    Variable(String),
}

/// What was written, before anybody asks what it means.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) values: BTreeMap<String, (String, Origin)>,
}

/// Below it, keys are librdkafka's.
pub(super) const PROPERTIES: &str = "kafka.properties.";

impl Layers {
    pub(super) fn read(file: Option<&Path>, variables: Vec<(String, String)>) -> Result<Self, Mistake> {
        let mut layers = Self::default();
        if let Some(path) = file {
            let source = File::from(path).format(FileFormat::Toml);
            let tables = source.collect().map_err(|error| Mistake::file(path, &error.to_string()))?;
            let mut flat = Vec::new();
            tables.into_iter().for_each(|(key, value)| flatten(key, value, &mut flat));
            let origin = |text| (text, Origin::File(path.to_owned()));
            layers.values.extend(flat.into_iter().map(|(key, text)| (key, origin(text))));
        }
        let names: HashMap<_, _> = variables.iter().map(|(name, _)| (key_of(name), name.clone())).collect();
        let read =
            variables.into_iter().filter(|(name, _)| name != FILE_VARIABLE && name != PROFILE_VARIABLE);
        let source = Environment::with_prefix("PAGEVIEW")
            .prefix_separator("_")
            .separator("__")
            .source(Some(read.collect()));
        let values = source.collect().map_err(|error| Mistake::environment(&error.to_string()))?;
        for (key, value) in values {
            let origin = Origin::Variable(names.get(&key).unwrap_or(&key).clone());
            let key = match key.strip_prefix(PROPERTIES) {
                Some(property) => format!("{PROPERTIES}{}", property.replace('_', ".")),
                None => key,
            };
            layers.values.insert(key, (value.to_string(), origin));
        }
        Ok(layers)
    }
}

/// How crate `config` spells the key of a variable.
fn key_of(variable: &str) -> String {
    variable.trim_start_matches("PAGEVIEW_").to_lowercase().replace("__", ".")
}

fn flatten(key: String, value: Value, into: &mut Vec<(String, String)>) {
    match value.kind {
        ValueKind::Table(table) => {
            table.into_iter().for_each(|(name, value)| flatten(format!("{key}.{name}"), value, into));
        }
        ValueKind::Array(values) => {
            let items: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
            into.push((key, items.join(",")));
        }
        kind => into.push((key, kind.to_string())),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {}", path.display()),
            Self::Variable(name) => write!(f, "in {name}"),
        }
    }
}
