//! Where the replicas of a service may be.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// One of the three services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    IngestApi,
    Aggregator,
    S3Sink,
}

impl Service {
    /// All of them, in the order in which data flows through them.
    pub(crate) const ALL: [Self; 3] = [Self::IngestApi, Self::Aggregator, Self::S3Sink];

    /// As its binary is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::IngestApi => "ingest-api",
            Self::Aggregator => "aggregator",
            Self::S3Sink => "s3-sink",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// `host:port` or `host:first-last`: every port of it, on every address that the host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an address, an IPv6 one without its brackets.
    pub(crate) host: String,
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl Address {
    /// Where a replica of `service` may answer, and what it is called then: by its number where each has a port of its own,
    /// else by its address where there are several.
    pub(crate) fn places(&self, service: Service, hosts: &[IpAddr]) -> Vec<(SocketAddr, String)> {
        let place = |ip: &IpAddr, port: u16| {
            let name = match (self.first < self.last, hosts.len() > 1) {
                (true, false) => format!("{service}-{}", port - self.first + 1),
                (true, true) => format!("{service}-{} at {ip}", port - self.first + 1),
                (false, false) => service.to_string(),
                (false, true) => format!("{service} at {ip}"),
            };
            (SocketAddr::new(*ip, port), name)
        };
        hosts.iter().flat_map(|ip| (self.first..=self.last).map(move |port| place(ip, port))).collect()
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("write {text:?} as host:port, or host:first-last for a range of ports");
        let (host, ports) = text.rsplit_once(':').ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // An IPv6 address without brackets would lose its last part as a port.
        let host = bare.or((!host.contains(':')).then_some(host)).filter(|host| !host.is_empty());
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(wrong);
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last) = (port(first)?, port(last)?);
        if first > last {
            return Err(wrong());
        }
        Ok(Self { host: host.ok_or_else(wrong)?.to_owned(), first, last })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.first)?,
            false => write!(f, "{}:{}", self.host, self.first)?,
        }
        if self.first < self.last { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(address: &str, hosts: &[&str]) -> Vec<String> {
        let hosts: Vec<_> = hosts.iter().map(|host| host.parse().unwrap()).collect();
        let places = address.parse::<Address>().unwrap().places(Service::S3Sink, &hosts);
        places.into_iter().map(|(at, name)| format!("{name} = {at}")).collect()
    }

    #[test]
    fn an_address_is_read_and_written() {
        for text in ["localhost:8082", "127.0.0.1:8381-8396", "[::1]:8082", "s3-sink:1-65535"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for wrong in ["localhost", ":80", "a:", "a:0", "a:9-8", "::1:80", "a:1-2-3", "a:70000", "http://a"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_replica_is_called_by_what_tells_it_from_others() {
        assert_eq!(
            names("a:81-82", &["127.0.0.1"]),
            ["s3-sink-1 = 127.0.0.1:81", "s3-sink-2 = 127.0.0.1:82"]
        );
        assert_eq!(names("a:81", &["10.0.0.1"]), ["s3-sink = 10.0.0.1:81"]);
        assert_eq!(
            names("a:81", &["10.0.0.1", "10.0.0.2"]),
            ["s3-sink at 10.0.0.1 = 10.0.0.1:81", "s3-sink at 10.0.0.2 = 10.0.0.2:81"]
        );
    }
}
