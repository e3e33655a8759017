//! Configuration: defaults in the binary < a TOML file < environment variables `PAGEVIEW_…`.
//!
//! ```text
//! file, environment --layers--> dotted key -> text + origin --keys--> typed values, or every mistake at once --> Config
//! ```
//! One file serves all services, so every service knows every key, and a key that nobody knows is a mistake.

mod keys;
mod layers;
mod rules;
mod schema;
mod setting;

use std::path::{Path, PathBuf};

pub use keys::{Mistake, Reference};
pub use schema::{
    Aws, CloudWatch, Config, Ingest, Kafka, Pipeline, Server, Shutdown, Sink, Window, Writer, reference,
};
pub use setting::{Bytes, Format, GroupProtocol, Origin, RateLimit, Setting};

use layers::Layers;

/// Names the file, as `--config` does.
pub const FILE_VARIABLE: &str = "PAGEVIEW_CONFIG";
/// Names a file of `deploy/config/`: `local`, `test` or `aws`.
pub const PROFILE_VARIABLE: &str = "PAGEVIEW_PROFILE";

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", list(.0))]
pub struct Error(pub Vec<Mistake>);

fn list(mistakes: &[Mistake]) -> String {
    let lines: Vec<_> = mistakes.iter().map(|mistake| format!("  - {mistake}")).collect();
    let plural = if mistakes.len() == 1 { "mistake" } else { "mistakes" };
    format!("the configuration has {} {plural}:\n{}", mistakes.len(), lines.join("\n"))
}

impl Config {
    /// Reads the configuration of this process: `file` if given, else the file that `PAGEVIEW_CONFIG` or
    /// `PAGEVIEW_PROFILE` names, else none; then the environment.
    ///
    /// # Errors
    /// Every mistake found, with the key and where it was written.
    pub fn load(file: Option<&Path>, default_port: u16) -> Result<Self, Error> {
        Self::from_environment(file, default_port, std::env::vars())
    }

    pub(crate) fn from_environment(
        file: Option<&Path>,
        default_port: u16,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let variables: Vec<_> =
            variables.into_iter().filter(|(name, _)| name.starts_with("PAGEVIEW_")).collect();
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None => named_file(&variables).map_err(|mistake| Error(vec![mistake]))?,
        };
        let layers = Layers::read(file.as_deref(), variables).map_err(|mistake| Error(vec![mistake]))?;
        schema::read(layers, default_port).map_err(Error)
    }
}

fn named_file(variables: &[(String, String)]) -> Result<Option<PathBuf>, Mistake> {
    let value = |name| variables.iter().find(|(known, value)| known == name && !value.is_empty());
    if let Some((_, file)) = value(FILE_VARIABLE) {
        return Ok(Some(PathBuf::from(file)));
    }
    let Some((_, profile)) = value(PROFILE_VARIABLE) else { return Ok(None) };
    let file = PathBuf::from(format!("deploy/config/{profile}.toml"));
    if file.is_file() {
        return Ok(Some(file));
    }
    let detail = format!(
        "{PROFILE_VARIABLE}={profile} names it, but it is not below the current folder: profiles are local, test and aws, \
         found from the repository's root; elsewhere give --config or {FILE_VARIABLE}"
    );
    Err(Mistake::file(&file, &detail))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(toml.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from_environment(Some(file.path()), 8081, variables)
    }

    #[test]
    fn the_environment_is_above_the_file_is_above_the_default() {
        let toml = "[pipeline.window]\ngrace = '5s'\nidle_timeout = '10s'\n[server]\nport = 9000";
        let config = load(toml, &[("PAGEVIEW_PIPELINE__WINDOW__GRACE", "2s")]).unwrap();
        assert_eq!(config.pipeline.window.grace, Duration::from_secs(2));
        assert_eq!(config.pipeline.window.idle_timeout, Duration::from_secs(10));
        assert_eq!(config.server.port, 9000);
        assert_eq!(config.kafka.bootstrap_servers, "localhost:9092");
        assert_eq!(load("", &[]).unwrap().server.port, 8081);
    }

    #[test]
    fn kafka_properties_have_dots_in_the_file_and_underscores_in_the_environment() {
        let toml = "[kafka.properties]\n\"security.protocol\" = 'SSL'\n\"ssl.ca.location\" = '/ca'";
        let variables = [("PAGEVIEW_KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_SSL")];
        let config = load(toml, &variables).unwrap();
        let properties: Vec<_> = config.kafka.properties.iter().collect();
        assert_eq!(properties.len(), 2);
        assert_eq!(config.kafka.properties["security.protocol"], "SASL_SSL");
        assert_eq!(config.kafka.properties["ssl.ca.location"], "/ca");
    }

    #[test]
    fn what_the_sink_cannot_do_is_a_mistake() {
        let toml = "[sink]\nsse = 'AES'\n[sink.raw]\nformat = 'csv'\nflush_bytes = '65MiB'\nflush_interval = '0s'\n\
                    [sink.dead_letters]\nformat = 'parquet'";
        let Error(mistakes) = load(toml, &[]).unwrap_err();
        let keys: Vec<_> = mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
        for key in ["sink.sse", "sink.raw.format", "sink.raw.flush_bytes", "sink.raw.flush_interval"] {
            assert!(keys.contains(&key), "{keys:?}");
        }
        assert!(keys.contains(&"sink.dead_letters.format") && keys.len() == 5, "{keys:?}");
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_key_and_origin() {
        let toml = "[pipeline.window]\ngrce = '5s'\n[server]\nport = 'many'";
        let variables = [
            ("PAGEVIEW_SHUTDOWN__GRACE", "20"),
            ("PAGEVIEW_KAFKA__PROPERTIES__ACKS", "1"),
            ("PAGEVIEW_PIPELINE__STREAM__THREADS", "0"),
        ];
        let Error(mistakes) = load(toml, &variables).unwrap_err();
        let text = Error(mistakes.clone()).to_string();
        assert_eq!(mistakes.len(), 5, "{text}");
        assert!(
            text.contains("pipeline.window.grce") && text.contains("did you mean pipeline.window.grace"),
            "{text}"
        );
        assert!(text.contains("server.port") && text.contains(".toml"), "{text}");
        assert!(text.contains("PAGEVIEW_SHUTDOWN__GRACE"), "{text}");
        assert!(text.contains("kafka.properties.acks"), "{text}");
        assert!(text.contains("pipeline.stream.threads"), "{text}");
    }

    #[test]
    fn a_missing_file_and_broken_toml_are_told_in_words() {
        let missing =
            Config::from_environment(Some(Path::new("no/such.toml")), 1, []).unwrap_err().to_string();
        assert!(missing.contains("no/such.toml"), "{missing}");
        let broken = load("[server\nport = 1", &[]).unwrap_err().to_string();
        assert!(broken.contains("line 1"), "{broken}");
    }

    #[test]
    fn a_profile_that_is_not_here_is_told_with_those_that_there_are() {
        let variables = [(PROFILE_VARIABLE.to_owned(), "prod".to_owned())];
        let error = Config::from_environment(None, 1, variables).unwrap_err().to_string();
        assert!(
            error.contains("deploy/config/prod.toml") && error.contains("local, test and aws"),
            "{error}"
        );
    }

    #[test]
    fn secrets_are_not_printed() {
        let variables = [
            ("PAGEVIEW_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2"),
            ("PAGEVIEW_KAFKA__PROPERTIES__SSL_KEY_PEM", "-----BEGIN"),
        ];
        let config = load("", &variables).unwrap();
        let printed = format!("{config:?}")
            + &config.effective.iter().map(|(_, text)| text.as_str()).collect::<String>();
        assert!(!printed.contains("hunter2") && !printed.contains("BEGIN"), "{printed}");
    }

    #[test]
    fn passphrases_are_secrets_too() {
        let variables =
            [("PAGEVIEW_KAFKA__PROPERTIES__SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE", "hunter2")];
        let config = load("", &variables).unwrap();
        assert!(config.effective.iter().all(|(_, text)| !text.contains("hunter2")));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let toml = "[shutdown]\ndrain_delay = '20s'\n[ingest]\nmax_in_flight_bytes = '1MiB'\n\
                    tls_cert = 'cert.pem'\ncors_origins = '*,https://a.example'\n\
                    [aws.s3]\nbucket_name = 'Bad_Bucket!'\nendpoint_override = 'localhost:4566'\n\
                    [metrics.cloudwatch]\nnamespace = 'AWS/S3'\nstep = '100ms'\nendpoint_override = 'localhost'";
        let text = load(toml, &[]).unwrap_err().to_string();
        for key in [
            "shutdown.drain_delay",
            "ingest.max_in_flight_bytes",
            "ingest.tls_cert",
            "ingest.cors_origins",
            "aws.s3.bucket_name",
            "aws.s3.endpoint_override",
            "metrics.cloudwatch.namespace",
            "metrics.cloudwatch.step",
            "metrics.cloudwatch.endpoint_override",
        ] {
            assert!(text.contains(key), "{key}: {text}");
        }
    }

    /// `UPDATE_DOCS=1 make test` writes the page anew.
    #[test]
    fn the_configuration_page_lists_every_key() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/config.md");
        let rows = reference().into_iter().map(|Reference { key, default, doc }| {
            let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
            format!("| `{key}` | {default} | {doc} |\n")
        });
        let page = format!("{PAGE_HEAD}{}", rows.collect::<String>());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(written, page, "docs/reference/config.md is stale: run with UPDATE_DOCS=1");
    }

    const PAGE_HEAD: &str = "\
# Configuration

Every key of every service: one file may serve all of them. A default that is left empty means unset. Durations are
written `30s`, sizes `64MiB`. In the environment, `pipeline.window.grace` is `PAGEVIEW_PIPELINE__WINDOW__GRACE`.
`kafka.properties.*` goes to librdkafka: quoted keys in TOML (`\"security.protocol\" = \"SSL\"`), underscores in the
environment (`PAGEVIEW_KAFKA__PROPERTIES__SECURITY_PROTOCOL`).

This page is written by a test of crate `service`.

| key | default | |
| --- | --- | --- |
";
}
