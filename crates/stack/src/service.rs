//! The three services and their replicas.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of our services, named like its binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// HTTP in.
    IngestApi,
    /// Counts by postcode and minute.
    Aggregator,
    /// Topics to S3.
    S3Sink,
}

impl Service {
    /// All of them, in the order in which data flows through them; they are stopped in this order too.
    pub const ALL: [Service; 3] = [Service::IngestApi, Service::Aggregator, Service::S3Sink];

    /// The name of its binary, its logs and its rows in `stack status`.
    pub fn name(self) -> &'static str {
        match self {
            Service::IngestApi => "ingest-api",
            Service::Aggregator => "aggregator",
            Service::S3Sink => "s3-sink",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Service::ALL
            .into_iter()
            .find(|service| service.name() == name)
            .ok_or_else(|| format!("`{name}` is none of {}", Service::ALL.map(Service::name).join(", ")))
    }
}

/// One process of a service. Numbers start at 1 and are its `pipeline.instance_id`: never two at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// Of which service.
    pub service: Service,
    /// Which one, from 1.
    pub number: u16,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.service, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for service in Service::ALL {
            assert_eq!(service.to_string().parse(), Ok(service));
        }
        assert_eq!(
            "sink".parse::<Service>().unwrap_err(),
            "`sink` is none of ingest-api, aggregator, s3-sink"
        );
    }
}
