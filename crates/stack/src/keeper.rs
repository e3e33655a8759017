//! Keeps one process alive: a task that starts it, waits for its end, and starts it again.

use std::fs::OpenOptions;
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::backoff::{Backoff, Next, WRONG_CONFIGURATION};
use crate::error::{Context, Result};
use crate::sys::{self, Signal};
use crate::watch::{Phase, State, Watch};
use crate::{Journal, home, launch};

/// Makes the command anew for each start, so that what was changed meanwhile takes effect.
pub(crate) type Recipe = Box<dyn Fn() -> Command + Send + Sync>;

pub(crate) enum Order {
    Start(oneshot::Sender<()>),
    /// Answers whether it ended within the grace time.
    Stop {
        grace: Duration,
        done: oneshot::Sender<bool>,
    },
}

pub(crate) struct Keeper {
    pub(crate) recipe: Recipe,
    pub(crate) watch: Watch,
    pub(crate) state: watch::Sender<State>,
    pub(crate) orders: mpsc::UnboundedReceiver<Order>,
    /// Whether a crash is followed by a restart.
    pub(crate) restarts: Arc<AtomicBool>,
    pub(crate) journal: Journal,
}

impl Keeper {
    /// Runs until nobody can give orders any more; the process ends with it.
    pub(crate) async fn run(mut self) {
        let mut child: Option<Child> = None;
        let mut start_at: Option<Instant> = None;
        let mut backoff = Backoff::default();
        loop {
            tokio::select! {
                status = ended(&mut child) => {
                    child = None;
                    start_at = self.after_crash(&mut backoff, status);
                }
                () = due(start_at) => {
                    start_at = None;
                    // It may have been told so while it waited.
                    if self.restarts.load(Ordering::Relaxed) {
                        child = self.start().await;
                    } else {
                        self.set(Phase::Stopped);
                    }
                }
                order = self.orders.recv() => match order {
                    None => return,
                    Some(Order::Start(done)) => {
                        if child.is_none() {
                            (start_at, backoff) = (None, Backoff::default());
                            child = self.start().await;
                        }
                        let _ = done.send(());
                    }
                    Some(Order::Stop { grace, done }) => {
                        start_at = None;
                        let in_time = stop(child.take(), grace).await;
                        self.set(Phase::Stopped);
                        if !in_time {
                            let seconds = grace.as_secs();
                            self.journal.say(format!("{} did not stop within {seconds} s: killed", self.watch.name));
                        }
                        let _ = done.send(in_time);
                    }
                },
            }
        }
    }

    async fn start(&self) -> Option<Child> {
        match self.spawn().await {
            Ok(child) => {
                // The pid is known until the child is waited for, which only this task does.
                let pid = child.id().unwrap_or_default();
                self.set(Phase::Running { pid, since: Instant::now() });
                Some(child)
            }
            Err(error) => {
                self.journal.say(format!("{}: {error}", self.watch.name));
                self.set(Phase::GaveUp(error.to_string()));
                None
            }
        }
    }

    async fn spawn(&self) -> Result<Child> {
        let log = &self.watch.log;
        home::rotate(log);
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output = output.context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().context(|| format!("cannot write {}", log.display()))?;
        let mut command = (self.recipe)();
        command.stdout(output).stderr(errors);
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        launch::spawn(command).await.context(|| format!("cannot start {program}"))
    }

    /// When to start it again, if at all.
    fn after_crash(&self, backoff: &mut Backoff, status: Option<ExitStatus>) -> Option<Instant> {
        let ran = match self.state.borrow().phase {
            Phase::Running { since, .. } => since.elapsed(),
            _ => Duration::ZERO,
        };
        let how = status.map_or_else(|| "ended".to_owned(), describe);
        self.state.send_modify(|state| state.crashes += 1);
        let next = match self.restarts.load(Ordering::Relaxed) {
            true => backoff.after_exit(status.and_then(|status| status.code()), ran),
            false => Next::GiveUp,
        };
        let name = &self.watch.name;
        match next {
            Next::RestartAfter(wait) => {
                self.journal.say(format!("{name} {how}: starting it again in {:.1} s", wait.as_secs_f64()));
                self.set(Phase::Waiting(how));
                Some(Instant::now() + wait)
            }
            Next::GiveUp => {
                self.journal.say(format!("{name} {how}: not started again"));
                self.set(Phase::GaveUp(how));
                None
            }
        }
    }

    fn set(&self, phase: Phase) {
        self.state.send_modify(|state| state.phase = phase);
    }
}

async fn ended(child: &mut Option<Child>) -> Option<ExitStatus> {
    match child {
        Some(child) => child.wait().await.ok(),
        None => pending().await,
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => pending().await,
    }
}

/// TERM, then KILL. Tells whether the first was enough.
async fn stop(child: Option<Child>, grace: Duration) -> bool {
    let Some(mut child) = child else { return true };
    let Some(pid) = child.id() else { return true };
    // An error means that it has ended already: `wait` below knows.
    let _ = sys::send(pid, Signal::Term);
    if tokio::time::timeout(grace, child.wait()).await.is_ok() {
        return true;
    }
    let _ = sys::send_to_group(pid, Signal::Kill);
    let _ = child.wait().await;
    false
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(WRONG_CONFIGURATION), _) => {
            format!("says that its configuration is wrong (exit {WRONG_CONFIGURATION})")
        }
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_ended() {
        assert_eq!(describe(ExitStatus::from_raw(9)), "was killed by signal 9");
        assert_eq!(describe(ExitStatus::from_raw(1 << 8)), "ended with exit code 1");
    }
}
