//! What can go wrong, each in one line that says how to mend it.

use std::path::PathBuf;

use crate::Service;

/// The result of everything here that talks to the world.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the stack did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program listens where one of ours has to.
    #[error("port {port}, needed by {wanted_by}, is taken{held_by}: stop that first")]
    PortTaken {
        /// The port.
        port: u16,
        /// Which of our processes needs it.
        wanted_by: String,
        /// Who has it (" by NAME, pid N"), or empty where `/proc` does not tell.
        held_by: String,
    },
    /// No Java, or one that Kafka 4 does not run on.
    #[error(
        "Kafka needs Java 17 or later, and {found}: install one (Debian: openjdk-17-jre-headless) or set JAVA_HOME"
    )]
    Java {
        /// What was found instead.
        found: String,
    },
    /// A tool that fetches or prepares something is not on the path.
    #[error("`{tool}` is missing, and {purpose}: install it (Debian: {package})")]
    ToolMissing {
        /// The command.
        tool: &'static str,
        /// What it is for.
        purpose: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A tool ran and failed.
    #[error("{what} failed: {reason} (all it said: {log})")]
    Tool {
        /// What it was doing.
        what: String,
        /// Its own last word, or its exit status.
        reason: String,
        /// The whole output.
        log: PathBuf,
    },
    /// One of our binaries has not been built.
    #[error("{0} is missing: build it with `make build`")]
    BinaryMissing(PathBuf),
    /// A process ended, kept failing, or did not become ready in time.
    #[error("{name} is not ready: {reason}; {log} ends with\n{tail}")]
    NotReady {
        /// The process, for example `aggregator-1`.
        name: String,
        /// What it answered, or how it ended.
        reason: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A signal for a process that does not run.
    #[error("{0} does not run")]
    NotRunning(String),
    /// There is no such replica.
    #[error("there is no {0}-{1}: see `stack status`")]
    NoSuchReplica(Service, u16),
    /// More replicas than there are ports for.
    #[error("{service} can have 0 to {limit} replicas here, not {asked}")]
    TooMany {
        /// The service.
        service: Service,
        /// What was asked for.
        asked: u16,
        /// What the port plan has room for.
        limit: u16,
    },
    /// A variable of our own has a value that says nothing.
    #[error("{variable} is {wanted}, not {value:?}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What it is set to.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// The supervisor of this folder runs already.
    #[error("a stack is already running in {0}")]
    AlreadyRunning(PathBuf),
    /// Nobody supervises this folder.
    #[error("no stack is running in {0}: start one with `make up`")]
    NotUp(PathBuf),
    /// The supervisor answered with an error, or went away while answering.
    #[error("{error}")]
    Supervisor {
        /// What it said.
        error: String,
        /// What the command should exit with.
        exit: u8,
    },
    /// The operating system refused something.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// Why it did not work.
        source: std::io::Error,
    },
}

impl Error {
    /// What a command that fails so exits with: 64 wrong usage, 2 nobody there to ask, 1 all else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::TooMany { .. } | Error::Setting { .. } => 64,
            Error::NotUp(_) => 2,
            Error::Supervisor { exit, .. } => *exit,
            _ => 1,
        }
    }
}

/// Names the action that an operating system error belongs to.
pub(crate) trait Context<T> {
    fn context(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { action: action(), source })
    }
}
