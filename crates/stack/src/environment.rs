//! What our processes are told, through their environment.

use std::path::Path;

use crate::{Ports, Replica};

/// The bucket of all data.
pub(crate) const BUCKET: &str = "pageview-data";
/// Where it would be if it were in AWS.
pub(crate) const REGION: &str = "eu-west-2";

/// What any client of the stack needs to reach it: the services, the CLI, a test.
pub(crate) fn client(ports: &Ports, config: &Path) -> Vec<(String, String)> {
    let set = |name: &str, value: String| (name.to_owned(), value);
    let variables = [
        set("PAGEVIEW_CONFIG", config.display().to_string()),
        set("PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS", kafka_bootstrap(ports)),
        set("PAGEVIEW_AWS__S3__ENDPOINT_OVERRIDE", s3_endpoint(ports)),
        set("PAGEVIEW_AWS__REGION", REGION.into()),
        set("PAGEVIEW_SERVER__HOST", "127.0.0.1".into()),
        set("PAGEVIEW_SERVER__PORT", ports.api.to_string()),
    ];
    variables.into_iter().chain(credentials()).collect()
}

/// The emulator takes any; without them the SDK would ask the machine's metadata service.
pub(crate) fn credentials() -> [(String, String); 3] {
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    credentials.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// What one replica is told on top of that.
pub(crate) fn replica(ports: &Ports, replica: Replica) -> Vec<(String, String)> {
    let of = ports.of(replica);
    let mut variables = vec![
        ("PAGEVIEW_SERVER__PORT".to_owned(), of.server.to_string()),
        ("PAGEVIEW_PIPELINE__INSTANCE_ID".to_owned(), replica.number.to_string()),
    ];
    if let Some(port) = of.management {
        variables.push(("PAGEVIEW_SERVER__MANAGEMENT_PORT".to_owned(), port.to_string()));
    }
    variables
}

/// By address: with a name, clients would try IPv6 first and warn.
pub(crate) fn kafka_bootstrap(ports: &Ports) -> String {
    let brokers = ports.kafka().iter().map(|broker| format!("127.0.0.1:{}", broker.clients));
    brokers.collect::<Vec<_>>().join(",")
}

pub(crate) fn s3_endpoint(ports: &Ports) -> String {
    format!("http://127.0.0.1:{}", ports.s3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;

    fn of(service: Service, number: u16) -> Vec<String> {
        let variables = replica(&Ports::local(), Replica { service, number });
        variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn the_first_replica_has_the_well_known_port() {
        assert_eq!(
            of(Service::Aggregator, 1),
            [
                "PAGEVIEW_SERVER__PORT=8081",
                "PAGEVIEW_PIPELINE__INSTANCE_ID=1",
                "PAGEVIEW_SERVER__MANAGEMENT_PORT=8281"
            ]
        );
    }

    #[test]
    fn the_others_have_one_of_their_own() {
        assert_eq!(
            of(Service::S3Sink, 2),
            ["PAGEVIEW_SERVER__PORT=8382", "PAGEVIEW_PIPELINE__INSTANCE_ID=2"]
        );
    }
}
