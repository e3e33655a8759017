//! The frame of every `main`: arguments, configuration, logging, health and metrics, and an orderly end.

use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cloudwatch::{CloudWatch, View};
use crate::config::Config;
use crate::health::Health;
use crate::management::{self, Management};
use crate::metrics::{Metric, Metrics};
use crate::shutdown::Shutdown;
use crate::telemetry;

/// The exit codes of all our programs.
pub mod exit {
    /// All is well.
    pub const GOOD: u8 = 0;
    /// It failed, or a promise is violated.
    pub const FAILED: u8 = 1;
    /// Not provable, or not reachable.
    pub const UNREACHABLE: u8 = 2;
    /// Wrong usage or configuration (`EX_USAGE` of BSD's sysexits).
    pub const USAGE: u8 = 64;

    /// Says why a command line is not taken, or what was asked for, and tells the exit code.
    #[must_use]
    pub fn unparsed(error: &clap::Error) -> std::process::ExitCode {
        let _ = error.print();
        if error.use_stderr() { USAGE } else { GOOD }.into()
    }
}

/// What makes one service differ from another, before it runs.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The name of the binary.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The default of `server.port`.
    pub default_port: u16,
    /// Whether it answers health and metrics on `server.port` by itself, beside an API of its own.
    pub has_api: bool,
    /// What else its configuration must fulfil: `Err` says what is wrong and how to mend it.
    pub check: fn(&Config) -> Result<(), String>,
    /// The metrics that it has beside those of every process.
    pub metrics: &'static [Metric],
    /// Parts of them that CloudWatch shows by themselves.
    pub views: &'static [View],
    /// Further switches: name without dashes, and what it does.
    pub switches: &'static [(&'static str, &'static str)],
}

/// What a service gets to run with.
pub struct Process {
    /// The checked configuration.
    pub config: Config,
    /// Where it tells how it is.
    pub health: Health,
    /// When to stop.
    pub shutdown: Shutdown,
    /// The answers to health and metrics, for a service that has an API.
    pub management: Management,
    switches: Vec<&'static str>,
}

impl Process {
    /// Whether the switch `name` of [`Program::switches`] was given.
    #[must_use]
    pub fn has_switch(&self, name: &str) -> bool {
        self.switches.contains(&name)
    }
}

/// Runs `run` as this process: returns its exit code once it ended, or once the grace time after a signal is over.
pub fn main<F, R, E>(program: Program, run: F) -> ExitCode
where
    F: FnOnce(Process) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let arguments = match command(program).try_get_matches() {
        Ok(arguments) => arguments,
        Err(error) => return exit::unparsed(&error),
    };
    let file = arguments.get_one::<PathBuf>("config");
    let config = match Config::load(file.map(PathBuf::as_path), program.default_port) {
        Ok(config) => config,
        Err(error) => return fail(exit::USAGE, program, &error),
    };
    if let Err(error) = crate::kafka::check_properties(&config).and_then(|()| (program.check)(&config)) {
        return fail(exit::USAGE, program, &error);
    }
    if arguments.get_flag("check-config") {
        let lines = config.effective.iter().map(|(key, value)| format!("{key} = {value:?}\n"));
        // Whoever reads it may have had enough.
        let _ = std::io::stdout().write_all(lines.collect::<String>().as_bytes());
        return exit::GOOD.into();
    }
    if arguments.get_flag("healthcheck") {
        return healthcheck(program, &config);
    }
    telemetry::start();
    abort_on_panic();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(exit::FAILED, program, &error),
    };
    let code = runtime.block_on(live(program, config, &arguments, run));
    // Threads that hang in a call must not keep the process.
    runtime.shutdown_background();
    code
}

async fn live<F, R, E>(program: Program, config: Config, arguments: &ArgMatches, run: F) -> ExitCode
where
    F: FnOnce(Process) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let metrics = match Metrics::install(program.name, program.version) {
        Ok(metrics) => metrics,
        Err(error) => return fail(exit::FAILED, program, &error),
    };
    tokio::spawn(metrics.clone().keep_up());
    let (health, shutdown) = (Health::default(), Shutdown::new());
    crate::metrics::describe(program.metrics);
    let management = Management::new(health.clone(), metrics);
    let server_port = (!program.has_api).then_some(config.server.port);
    for port in [server_port, config.server.management_port].into_iter().flatten() {
        match listen(&config.server.host, port).await {
            Ok(listener) => drop(tokio::spawn(management::serve(listener, management.clone()))),
            Err(error) => return fail(exit::FAILED, program, &error),
        }
    }
    tokio::spawn(shutdown.clone().on_signals());
    let cloudwatch = CloudWatch::start(&config, program.name, program.views, management.clone()).await;
    tracing::info!(
        service = program.name,
        version = program.version,
        port = config.server.port,
        kafka = config.kafka.bootstrap_servers,
        "starting"
    );
    let grace = config.shutdown.grace;
    let given = |name: &&str| arguments.get_flag(name);
    let switches = program.switches.iter().map(|(name, _)| *name).filter(given).collect();
    let process =
        Process { config, health: health.clone(), shutdown: shutdown.clone(), management, switches };
    let overdue = async {
        shutdown.wait().await;
        health.stopping();
        timeout(grace).await;
    };
    let code = tokio::select! {
        result = run(process) => match result {
            Ok(()) => {
                tracing::info!("stopped");
                exit::GOOD
            }
            Err(error) => {
                tracing::error!(error = chain(error.into().as_ref()), "failed");
                exit::FAILED
            }
        },
        () = overdue => {
            tracing::error!(?grace, "not finished within the grace time: leaving");
            exit::FAILED
        }
    };
    cloudwatch.stop().await;
    code.into()
}

fn command(program: Program) -> Command {
    let switch = |name, help| Arg::new(name).long(name).help(help).action(ArgAction::SetTrue);
    Command::new(program.name)
        .version(program.version)
        .about(program.about)
        .after_help(
            "Settings come from --config, PAGEVIEW_CONFIG or PAGEVIEW_PROFILE (local, test, aws), and above them from \
             variables such as PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS. RUST_LOG=debug shows more.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help("Configuration file (TOML)")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(switch("check-config", "Check the configuration, print it without secrets, and exit"))
        .arg(switch("healthcheck", "Ask the running service on this machine whether it is ready, and exit"))
        .args(program.switches.iter().map(|(name, help)| switch(name, help)))
}

async fn listen(host: &str, port: u16) -> Result<tokio::net::TcpListener, String> {
    let address = resolve(host, port)?;
    management::bind(address).await.map_err(|error| {
        format!("cannot listen on {address}: {error} (is it in use? server.port or server.management_port changes it)")
    })
}

/// The address that `server.host` and a port mean.
///
/// # Errors
/// When `host` is neither an address nor a name that has one, in words.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let mut addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("server.host {host:?} is no address: {error}"))?;
    addresses.next().ok_or_else(|| format!("server.host {host:?} has no address"))
}

#[expect(clippy::disallowed_methods, reason = "the grace time is a time")]
async fn timeout(grace: Duration) {
    tokio::time::sleep(grace).await;
}

/// A thread that panicked leaves work undone that nobody takes up: better to die and be restarted.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

fn healthcheck(program: Program, config: &Config) -> ExitCode {
    if program.has_api && config.ingest.tls_cert.is_some() && config.server.management_port.is_none() {
        let mend = "with TLS on server.port, health is asked over plain HTTP on a port of its own: set server.management_port";
        return fail(exit::USAGE, program, &mend);
    }
    let port = config.server.management_port.unwrap_or(config.server.port);
    let host = if config.server.host == "0.0.0.0" { "127.0.0.1" } else { &config.server.host };
    match probe(host, port) {
        Ok((status, body)) => {
            println!("{body}");
            if status == 200 { exit::GOOD } else { exit::FAILED }.into()
        }
        Err(error) => fail(exit::UNREACHABLE, program, &format!("nothing answers on {host}:{port}: {error}")),
    }
}

fn probe(host: &str, port: u16) -> Result<(u16, String), String> {
    const TIMEOUT: Duration = Duration::from_secs(3);
    let words = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&resolve(host, port)?, TIMEOUT).map_err(words)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(words)?;
    let request =
        format!("GET /actuator/health/readiness HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(words)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(words)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("the answer is not HTTP")?;
    Ok((status, body.to_owned()))
}

fn fail(code: u8, program: Program, error: &dyn Display) -> ExitCode {
    eprintln!("{}: {error}", program.name);
    code.into()
}

/// `error` and its causes in one line; a cause that an error tells by itself, as many of rdkafka's do, is told once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.ends_with(&told) {
            text.push_str(&format!(": {told}"));
        }
        cause = error.source();
    }
    text
}
