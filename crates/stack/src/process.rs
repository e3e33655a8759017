//! One process of the stack that can be started, stopped and maltreated.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::error::{Context, Error, Result};
use crate::keeper::{Keeper, Order, Recipe};
use crate::sys::{self, Signal};
use crate::watch::{Phase, Probe, State, Watch};
use crate::{Home, Journal, clock, procfs};

/// How long the threads of a process may take to stop, and how often they are looked at.
const STILL: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(1);

/// A process that a keeper looks after: Kafka, the AWS emulator, or a replica of a service.
///
/// It ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    pub(crate) watch: Watch,
    orders: mpsc::UnboundedSender<Order>,
    restarts: Arc<AtomicBool>,
    limits: Limits,
}

/// How long a process may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) ready: Duration,
    pub(crate) stop: Duration,
}

impl Process {
    /// A process that has not been started.
    pub(crate) fn new(
        name: String,
        port: u16,
        probe: Probe,
        recipe: Recipe,
        limits: Limits,
        home: &Home,
        journal: &Journal,
    ) -> Process {
        let (state, seen) = watch::channel(State { phase: Phase::Stopped, crashes: 0 });
        let (orders, inbox) = mpsc::unbounded_channel();
        let watch = Watch { log: home.log(&name), name, port, probe, state: seen };
        let restarts = Arc::new(AtomicBool::new(true));
        let keeper = Keeper {
            recipe,
            watch: watch.clone(),
            state,
            orders: inbox,
            restarts: Arc::clone(&restarts),
            journal: journal.clone(),
        };
        tokio::spawn(keeper.run());
        Process { watch, orders, restarts, limits }
    }

    /// Its name, for example `aggregator-1`; its log is called so too.
    pub fn name(&self) -> &str {
        &self.watch.name
    }

    /// Its pid while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.watch.pid()
    }

    /// How often it ended without being told to.
    pub fn crashes(&self) -> u32 {
        self.watch.state().crashes
    }

    /// Starts it unless it runs. Does not wait until it is ready.
    pub async fn start(&self) {
        let (done, started) = oneshot::channel();
        let _ = self.orders.send(Order::Start(done));
        // The keeper lives as long as `self.orders`.
        let _ = started.await;
    }

    /// Stops it, with SIGTERM and, after the grace time, SIGKILL; it stays down until [`Process::start`].
    /// Tells whether SIGTERM was enough.
    pub async fn stop(&self) -> bool {
        self.begin_stop().await.unwrap_or(true)
    }

    /// [`Process::stop`] in two parts, to stop several at the same time.
    pub(crate) fn begin_stop(&self) -> oneshot::Receiver<bool> {
        let (done, stopped) = oneshot::channel();
        let _ = self.orders.send(Order::Stop { grace: self.limits.stop, done });
        stopped
    }

    /// Waits until it is ready, or says why it is not.
    pub async fn ready(&self) -> Result<()> {
        self.watch.ready(self.limits.ready).await
    }

    /// Whether it is started again after a crash: yes, unless told otherwise.
    pub fn set_restarts(&self, restarts: bool) {
        self.restarts.store(restarts, Ordering::Relaxed);
    }

    /// `kill -9`. It is dead when this returns, and on its way up again unless told otherwise.
    pub async fn kill_9(&self) -> Result<()> {
        let pid = self.running()?;
        self.send(pid, Signal::Kill)?;
        self.watch.gone(pid).await;
        Ok(())
    }

    /// Stops it where it stands, as a long pause of its machine would. All its threads stand still when this returns.
    pub async fn freeze(&self) -> Result<()> {
        let pid = self.running()?;
        self.send(pid, Signal::Stop)?;
        // The kernel stops each thread when it next runs or is interrupted: on busy cores tens of milliseconds later.
        let still = clock::poll(STILL, EVERY, async || procfs::stands_still(pid).then_some(())).await;
        let still = still.ok_or_else(|| io::Error::from(io::ErrorKind::TimedOut));
        still.context(|| format!("cannot freeze {}", self.watch.name))
    }

    /// Lets it go on after [`Process::freeze`].
    pub fn thaw(&self) -> Result<()> {
        self.send(self.running()?, Signal::Cont)
    }

    fn running(&self) -> Result<u32> {
        self.pid().ok_or_else(|| Error::NotRunning(self.watch.name.clone()))
    }

    fn send(&self, pid: u32, signal: Signal) -> Result<()> {
        sys::send(pid, signal).context(|| format!("cannot send {signal:?} to {}", self.watch.name))
    }
}
