//! How `stack scale` and the others talk to the supervisor: JSON lines over a Unix socket in the stack's folder.
//!
//! A client writes one [`Request`]; the supervisor writes [`Reply::Event`]s while it works, and one last reply.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

use crate::error::{Context, Error, Result};
use crate::{Event, Home, Service, Status};

/// What can be asked of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How is everything?
    Status,
    /// Bring a service to this many replicas.
    Scale {
        /// Which.
        service: Service,
        /// How many.
        replicas: u16,
    },
    /// Restart a service, one replica at a time.
    Restart {
        /// Which.
        service: Service,
    },
    /// Stop everything, and end.
    Down,
}

/// What a supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Something happened on the way.
    Event(Event),
    /// The answer to [`Request::Status`].
    Status(Status),
    /// It is done.
    Done,
    /// It could not be done.
    Failed {
        /// Why, and how to mend it.
        error: String,
        /// What the command should exit with.
        exit: u8,
    },
}

impl Reply {
    pub(crate) fn failed(error: &Error) -> Reply {
        Reply::Failed { error: error.to_string(), exit: error.exit_code() }
    }
}

/// Sends a request and returns the last reply, [`Reply::Done`] or [`Reply::Status`].
///
/// # Errors
/// [`Error::NotUp`] where nobody listens; [`Error::Supervisor`] with the supervisor's own error, or when it says
/// nothing for `silence`.
pub async fn call(
    home: &Home,
    request: &Request,
    silence: Duration,
    mut event: impl FnMut(Event),
) -> Result<Reply> {
    let stream = connect(home).await?;
    let (mut replies, mut requests) = framed(stream);
    let broken = |why: &str| Error::Supervisor {
        error: format!(
            "the supervisor {why}: `stack down` clears up, {} tells more",
            home.log("supervisor").display()
        ),
        exit: 1,
    };
    write_line(&mut requests, request).await.map_err(|_| broken("hung up"))?;
    loop {
        let line = tokio::time::timeout(silence, replies.next_line())
            .await
            .map_err(|_| broken("does not answer"))?;
        let line = line.ok().flatten().ok_or_else(|| broken("hung up"))?;
        match serde_json::from_str(&line).map_err(|_| broken("is of another version"))? {
            Reply::Event(happened) => event(happened),
            Reply::Failed { error, exit } => return Err(Error::Supervisor { error, exit }),
            reply @ (Reply::Done | Reply::Status(_)) => return Ok(reply),
        }
    }
}

async fn connect(home: &Home) -> Result<UnixStream> {
    let address = Address::of(home).map_err(|_| Error::NotUp(home.root().to_owned()))?;
    UnixStream::connect(&address.path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::NotUp(home.root().to_owned()),
        _ => Error::Io { action: "cannot talk to the supervisor".into(), source: error },
    })
}

/// Listens where [`call`] knocks. The caller holds the folder's lock, so a socket that is there is a dead one's.
pub(crate) fn listen(home: &Home) -> Result<UnixListener> {
    let action = || format!("cannot listen in {}", home.root().display());
    let address = Address::of(home).context(action)?;
    remove(home);
    UnixListener::bind(&address.path).context(action)
}

pub(crate) fn remove(home: &Home) {
    // Most often there is none.
    let _ = std::fs::remove_file(home.root().join(Home::SOCKET));
}

/// A socket's path may have 107 bytes, and a repository may lie deeper than that: the path goes through a
/// descriptor of the folder.
struct Address {
    path: PathBuf,
    _folder: File,
}

impl Address {
    fn of(home: &Home) -> io::Result<Address> {
        let folder = File::open(home.root())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(Home::SOCKET);
        Ok(Address { path, _folder: folder })
    }
}

pub(crate) fn framed(stream: UnixStream) -> (Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf) {
    let (read, write) = stream.into_split();
    (BufReader::new(read).lines(), write)
}

pub(crate) async fn write_line(to: &mut OwnedWriteHalf, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_protocol() {
        let request = Request::Scale { service: Service::S3Sink, replicas: 3 };
        let line = serde_json::to_string(&request).unwrap();
        assert_eq!(line, r#"{"scale":{"service":"s3-sink","replicas":3}}"#);
        assert_eq!(serde_json::from_str::<Request>(r#""down""#).unwrap(), Request::Down);
        let reply = Reply::Event(Event::Began { step: "kafka".into() });
        let line = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
    }

    #[tokio::test]
    async fn a_deep_folder_is_no_problem_and_a_dead_socket_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path().join("d".repeat(200))).unwrap();
        home.create().unwrap();
        drop(listen(&home).unwrap());
        let mut answer = call(&home, &Request::Status, Duration::from_secs(1), |_| ()).await;
        // A process that another test is starting has a copy of the socket until it becomes its program, and hangs up then.
        for _ in 0..100 {
            if !matches!(answer, Err(Error::Supervisor { .. })) {
                break;
            }
            answer = call(&home, &Request::Status, Duration::from_secs(1), |_| ()).await;
        }
        assert!(matches!(answer, Err(Error::NotUp(_))), "{answer:?}");
        listen(&home).unwrap();
    }
}
