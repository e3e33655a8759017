//! What the subcommands do.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use stack::control::{self, Reply, Request};
use stack::{Down, Home, Options, Service, Up, supervisor};

use crate::args::{Args, Command};
use crate::logs;
use crate::screen::Screen;

/// A rolling restart says nothing while one replica stops and starts.
const SILENCE: Duration = Duration::from_secs(200);

pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let options = Options::local(&repo(args.repo)?)?;
    let home = Home::at(&options.home)?;
    match args.command {
        Command::Up => up(&options, &home).await,
        Command::Down => down(&home).await,
        Command::Scale { service, replicas } => order(&home, &Request::Scale { service, replicas }).await,
        Command::Restart { service } => order(&home, &Request::Restart { service }).await,
        Command::Status => status(&home).await,
        Command::Logs { service, follow, lines } => {
            logs::show(&home, service.as_deref(), follow, lines).await
        }
        Command::Clean => clean(&home).await,
        Command::Supervise => {
            let mark = std::env::var(stack::MARK).context("`supervise` is started by `stack up`")?;
            // The error went to `up` through standard output, and to the log.
            let exit = supervisor::run(options, mark).await.map_or_else(|error| error.exit_code(), |()| 0);
            Ok(ExitCode::from(exit))
        }
    }
}

/// The folder that holds `deploy/config`, here or above.
fn repo(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given);
    }
    let here = std::env::current_dir()?;
    let is_repo = |folder: &&Path| folder.join("deploy").is_dir() && folder.join("terraform").is_dir();
    match here.ancestors().find(is_repo) {
        Some(folder) => Ok(folder.to_owned()),
        None => bail!("{} is not inside the repository: give it with --repo", here.display()),
    }
}

async fn up(options: &Options, home: &Home) -> Result<ExitCode> {
    let began = tokio::time::Instant::now();
    let mut screen = Screen::new();
    let started = tokio::select! {
        started = stack::up(options, |event| screen.show(&event)) => Some(started),
        _ = tokio::signal::ctrl_c() => None,
    };
    screen.close();
    match started {
        Some(Ok(Up::Started)) => {
            let places = places(options, home, has_dashboard(home).await);
            say(&format!("up in {:.0} s\n{places}", began.elapsed().as_secs_f64()));
        }
        Some(Ok(Up::WasRunning)) => {
            let places = places(options, home, has_dashboard(home).await);
            say(&format!("already running: nothing to do\n{places}"));
            return status(home).await;
        }
        Some(Err(error)) => return Err(error.into()),
        None => {
            say("interrupted: stopping what was started");
            stack::down(home, |_| ()).await?;
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn has_dashboard(home: &Home) -> bool {
    let reply = control::call(home, &Request::Status, SILENCE, |_| ()).await;
    matches!(reply, Ok(Reply::Status(status)) if status.has_dashboard())
}

/// Where everything is.
fn places(options: &Options, home: &Home, has_dashboard: bool) -> String {
    let ports = &options.ports;
    let dashboard = match has_dashboard {
        true => format!(
            "http://localhost:{}   (open it: is it working, how fast, is anything lost?)",
            ports.dashboard
        ),
        false => "none".to_owned(),
    };
    let first = |service| format!("http://localhost:{}", ports.health(service, 1));
    format!(
        "
  API        http://localhost:{api}/api/pageviews
  dashboard  {dashboard}
  health     {ingest}/actuator/health  {aggregator}/…  {sink}/…
  metrics    {ingest}/metrics  {aggregator}/…  {sink}/…
  Kafka      localhost:{kafka}
  S3         aws --endpoint-url=http://localhost:{s3} s3 ls s3://pageview-data/   (any credentials, region eu-west-2)
  logs       {logs}   (`make logs`)

  `make demo` sends load and shows the counts, `make status` how everything is, `make down` stops it.",
        api = ports.api,
        kafka = ports.first_broker(),
        s3 = ports.s3,
        ingest = first(Service::IngestApi),
        aggregator = first(Service::Aggregator),
        sink = first(Service::S3Sink),
        logs = home.logs().display(),
    )
}

async fn down(home: &Home) -> Result<ExitCode> {
    let mut screen = Screen::new();
    let downed = stack::down(home, |event| screen.show(&event)).await;
    screen.close();
    match downed? {
        Down::InOrder => say("stopped; the data is kept"),
        Down::Nothing => say("nothing is running"),
        Down::Remains(count) => {
            say(&format!("the supervisor did not stop in order: ended {count} processes"))
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn order(home: &Home, request: &Request) -> Result<ExitCode> {
    let mut screen = Screen::new();
    let reply = control::call(home, request, SILENCE, |event| screen.show(&event)).await;
    screen.close();
    reply?;
    Ok(ExitCode::SUCCESS)
}

async fn status(home: &Home) -> Result<ExitCode> {
    let Reply::Status(status) = control::call(home, &Request::Status, SILENCE, |_| ()).await? else {
        bail!("the supervisor is of another version: `stack down` clears up")
    };
    say(&status.table());
    if !status.started {
        say("it is starting, or stopping");
    }
    Ok(if status.is_ready() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn clean(home: &Home) -> Result<ExitCode> {
    match control::call(home, &Request::Status, SILENCE, |_| ()).await {
        Err(stack::Error::NotUp(_)) => {}
        _ => bail!("it is running: `make down` first"),
    }
    // What a killed supervisor left must not write into folders that are going.
    stack::down(home, |_| ()).await?;
    match std::fs::remove_dir_all(home.root()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", home.root().display()));
        }
        _ => say(&format!(
            "removed {}: Kafka's data, S3's data, terraform's state, logs",
            home.root().display()
        )),
    }
    Ok(ExitCode::SUCCESS)
}

/// To standard output; whoever reads it may have had enough.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
