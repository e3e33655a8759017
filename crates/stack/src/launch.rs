//! Starts processes so that none outlives us, whatever happens to us.
//!
//! The kernel kills a child when the *thread* that started it ends (see [`sys::die_with_parent`]). A runtime's
//! threads end with the runtime, so one thread that lives as long as the process starts all children.

use std::ffi::OsStr;
use std::io;
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Context, Error, Result};
use crate::procfs;
use crate::sys::{self, Signal};

/// How the processes of one stack are started.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    /// Says to which stack a process belongs: see [`procfs::marked`].
    pub(crate) mark: String,
    /// Whether `PAGEVIEW_...` and `TF_VAR_...` of our own environment are kept from the children.
    pub(crate) hermetic: bool,
}

impl Launcher {
    /// A command that is set up to belong to this stack: marked, in a process group of its own, without the
    /// caller's AWS account.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let ours = text.starts_with("PAGEVIEW_") || text.starts_with("TF_VAR_");
            if text.starts_with("AWS_") || (self.hermetic && ours) {
                command.env_remove(&name);
            }
        }
        command.env(procfs::MARK, &self.mark).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        sys::die_with_parent(&mut command);
        command
    }
}

struct Job {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, queue) = mpsc::channel::<Job>();
    let serve = move || {
        for Job { mut command, runtime, reply } in queue {
            let _guard = runtime.enter();
            // Returns once the child runs its own program.
            let _ = reply.send(apart_from_starts(|| command.spawn()));
        }
    };
    // Without the thread every send fails, and `spawn` says so.
    let _ = std::thread::Builder::new().name("spawner".into()).spawn(serve);
    jobs
});

/// Held while a child has been forked and does not run its own program yet, or while nothing may be inherited.
static STARTING: Mutex<()> = Mutex::new(());

/// Runs `action` while no child is being started: until a child runs its own program it holds a copy of every
/// descriptor of ours, and a port that was bound for a moment would be taken for longer than that.
pub(crate) fn apart_from_starts<T>(action: impl FnOnce() -> T) -> T {
    let _alone = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    action()
}

/// Starts a command on the spawner thread.
pub(crate) async fn spawn(command: Command) -> io::Result<Child> {
    let (reply, answer) = oneshot::channel();
    let gone = || io::Error::other("the spawner thread is gone");
    SPAWNER.send(Job { command, runtime: Handle::current(), reply }).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

/// Sends `child`, which is called `name`, a signal.
pub(crate) fn signal(child: &Child, name: &str, signal: Signal) -> Result<()> {
    // The pid is known until the child is waited for, which needs it for itself alone.
    let pid = child.id().ok_or_else(|| Error::NotRunning(name.to_owned()))?;
    sys::send(pid, signal).context(|| format!("cannot send {signal:?} to {name}"))
}

/// Text that nobody guesses and that no other stack has.
pub(crate) fn random_text(length: usize) -> io::Result<String> {
    use std::io::Read;
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789AQ";
    let mut bytes = vec![0; length];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect())
}
