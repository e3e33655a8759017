//! What stack to start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Context, Error, Result};
use crate::{Ports, Service, launch};

/// As short as a busy machine allows: Kafka's own 9 s are what every restart after `kill -9` waits for.
pub(crate) const BROKER_SESSION: Duration = Duration::from_secs(4);

/// As `pageviews dashboard` does by itself.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// What stack to start, and where. Begin with [`Options::local`] or [`Options::test`] and change what differs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository: `deploy/config` and `terraform` are in it.
    pub repo: PathBuf,
    /// The stack's own folder: see [`crate::Home`].
    pub home: PathBuf,
    /// Where our binaries are.
    pub bin_dir: PathBuf,
    /// The configuration file of the services and the CLI.
    pub config: PathBuf,
    /// Who listens where.
    pub ports: Ports,
    /// How many replicas of each service to start; 0 is fine.
    pub replicas: BTreeMap<Service, u16>,
    /// Whether to create the topics, with `pageviews topics`.
    pub topics: bool,
    /// How long the dashboard pauses between two audits; without, there is no dashboard. Where it cannot be started, the rest
    /// goes on without it.
    pub dashboard: Option<Duration>,
    /// Whether to apply terraform, which takes a quarter of a minute. Otherwise just the bucket is created.
    pub terraform: bool,
    /// Further variables for all services and the CLI, over everything else.
    pub env: Vec<(String, String)>,
    /// After how long without a heartbeat the controller takes a broker for dead, as it also does one that stands still.
    pub broker_session: Duration,
    /// How long a process may take to become ready.
    pub ready_within: Duration,
    /// How long a process may take to stop, before it is killed. Longer than the services' own `shutdown.grace`.
    pub stop_within: Duration,
    /// A test's stack: its folder goes when it is stopped, and no `PAGEVIEW_` variable of the caller gets in.
    pub(crate) test: bool,
}

impl Options {
    /// The stack of `make up`: the documented ports, data kept in `.stack/` (or `STACK_DIR`).
    pub fn local(repo: &Path) -> Result<Options> {
        let home = set("STACK_DIR").unwrap_or_else(|| repo.join(".stack"));
        let repo = std::path::absolute(repo).context(|| format!("cannot find {}", repo.display()))?;
        Ok(Options {
            home,
            bin_dir: bin_dir()?,
            config: repo.join("deploy/config/local.toml"),
            repo,
            ports: local_ports()?,
            replicas: Service::ALL.map(|service| (service, 1)).into(),
            topics: true,
            dashboard: Some(AUDIT_EVERY),
            terraform: true,
            env: Vec::new(),
            broker_session: BROKER_SESSION,
            ready_within: Duration::from_secs(90),
            stop_within: Duration::from_secs(25),
            test: false,
        })
    }

    /// A test's stack: ports of its own, a temporary folder named after the test.
    pub fn test(name: &str) -> Result<Options> {
        let suffix = launch::random_text(6).context(|| "no random numbers".into())?;
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let repo = repo.canonicalize().context(|| format!("cannot find {}", repo.display()))?;
        Ok(Options {
            home: std::env::temp_dir().join(format!("pageview-stack-{name}-{suffix}")),
            ports: Ports::reserve()?,
            dashboard: None,
            terraform: false,
            test: true,
            config: repo.join("deploy/config/test.toml"),
            ..Options::local(&repo)?
        })
    }

    /// Changes the number of replicas to start of a service.
    pub fn replicas(mut self, service: Service, replicas: u16) -> Options {
        self.replicas.insert(service, replicas);
        self
    }

    /// Changes the number of Kafka brokers, 3 at most: with 3, every partition has 3 replicas, of which 2 must be in sync.
    pub fn brokers(mut self, brokers: usize) -> Options {
        self.ports = self.ports.with_brokers(brokers);
        self
    }

    /// Starts the dashboard, too, which audits so often.
    pub fn dashboard(mut self, audit_every: Duration) -> Options {
        self.dashboard = Some(audit_every);
        self
    }

    /// Changes after how long without a heartbeat a broker is taken for dead.
    pub fn broker_session(mut self, session: Duration) -> Options {
        self.broker_session = session;
        self
    }

    /// Adds a variable for all services and the CLI.
    pub fn env(mut self, name: &str, value: &str) -> Options {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The documented ports, and the dashboard's where `DASHBOARD_PORT` puts it.
fn local_ports() -> Result<Ports> {
    let mut ports = Ports::local();
    if let Some(port) = std::env::var("DASHBOARD_PORT").ok().filter(|port| !port.is_empty()) {
        let (variable, wanted) = ("DASHBOARD_PORT", "the number of a port");
        ports.dashboard = port.parse().map_err(|_| Error::Setting { variable, value: port, wanted })?;
    }
    Ok(ports)
}

/// Our binaries are beside the one that runs, or one folder above where that is a test (`target/release/deps`).
fn bin_dir() -> Result<PathBuf> {
    if let Some(folder) = set("STACK_BIN_DIR") {
        return Ok(folder);
    }
    let binary = std::env::current_exe().context(|| "cannot find the folder of the binaries".into())?;
    let folder = binary.parent().unwrap_or(Path::new("/"));
    let is_test = folder.file_name().is_some_and(|name| name == "deps");
    Ok(if is_test { folder.parent().unwrap_or(folder) } else { folder }.to_owned())
}

fn set(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
