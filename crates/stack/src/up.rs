//! Starts a supervisor in the background and follows it until the stack is up.

use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;

use crate::control::{self, Reply, Request};
use crate::error::{Context, Error, Result};
use crate::{Event, Home, Options, clock, down, home, launch, procfs, sys};

/// The subcommand of our binary that is the supervisor.
pub const SUPERVISE: &str = "supervise";
const SILENCE: Duration = Duration::from_secs(15);
/// The longest start: everything has to be fetched.
const OTHER_START: Duration = Duration::from_secs(30 * 60);

/// Whether there was anything to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Up {
    /// It is up now.
    Started,
    /// It was before.
    WasRunning,
}

/// Brings a stack up in the background, and returns once it is ready. Where one is starting already, waits for it.
pub async fn up(options: &Options, mut event: impl FnMut(Event)) -> Result<Up> {
    let home = Home::at(&options.home)?;
    home.create()?;
    match control::call(&home, &Request::Status, SILENCE, |_| ()).await {
        Ok(_) => return other_start(&home).await,
        Err(Error::NotUp(_)) => {}
        Err(error) => return Err(error),
    }
    down::clear_remains(&home).await?;
    let mut replies = BufReader::new(start(&home)?).lines();
    loop {
        let line = replies.next_line().await.ok().flatten();
        match line.as_deref().map(serde_json::from_str) {
            Some(Ok(Reply::Event(happened))) => event(happened),
            Some(Ok(Reply::Done)) => return Ok(Up::Started),
            Some(Ok(Reply::Failed { error, exit })) => return Err(Error::Supervisor { error, exit }),
            // Not ours: something printed to standard output.
            Some(_) => {}
            None => {
                let log = home.log("supervisor");
                let tail = home::tail(&log, 12);
                return Err(Error::NotReady {
                    name: "supervisor".into(),
                    reason: "it is gone".into(),
                    log,
                    tail,
                });
            }
        }
    }
}

/// Starts our own binary again, in a session of its own, and returns its standard output.
fn start(home: &Home) -> Result<pipe::Receiver> {
    let action = || "cannot start the supervisor".to_owned();
    let log = OpenOptions::new().create(true).append(true).open(home.log("supervisor")).context(action)?;
    let (reader, writer) = std::io::pipe().context(action)?;
    let binary = std::env::current_exe().context(action)?;
    let mut command = std::process::Command::new(binary);
    command.arg(SUPERVISE).env(procfs::MARK, launch::random_text(16).context(action)?);
    // Relative paths of our environment are resolved by now.
    command.env("STACK_DIR", home.root());
    command.stdin(Stdio::null()).stdout(writer).stderr(log);
    sys::own_session(&mut command);
    command.spawn().context(action)?;
    drop(command);
    pipe::Receiver::from_owned_fd(reader.into()).context(action)
}

async fn other_start(home: &Home) -> Result<Up> {
    let started = async || match control::call(home, &Request::Status, SILENCE, |_| ()).await {
        Ok(Reply::Status(status)) if !status.started => None,
        Ok(_) => Some(Ok(Up::WasRunning)),
        Err(error) => Some(Err(error)),
    };
    let silent = || Error::Supervisor { error: "another `up` has not come to an end".into(), exit: 1 };
    clock::poll(OTHER_START, Duration::from_millis(500), started).await.unwrap_or_else(|| Err(silent()))
}
