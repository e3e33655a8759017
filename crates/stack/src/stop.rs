//! How a stack ends: in order, or by being dropped.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::error::{Context, Result};
use crate::process::Process;
use crate::stack::Stack;
use crate::{Signal, clock, procfs, sys};

impl Stack {
    /// Stops everything in order: the services as data flows through them, S3, Kafka. A test's folder goes too.
    pub async fn stop(mut self) -> Result<()> {
        self.stop_all().await;
        if self.options.test && std::env::var_os("STACK_KEEP").is_none() {
            let root = self.home.root();
            fs::remove_dir_all(root).context(|| format!("cannot remove {}", root.display()))?;
        }
        Ok(())
    }

    async fn stop_all(&mut self) {
        // It would only show what is stopping.
        if let Some(dashboard) = &self.dashboard {
            dashboard.stop().await;
        }
        for (service, replicas) in &self.services {
            if replicas.is_empty() {
                continue;
            }
            let step = self.journal.step(format!("stop {service}"));
            stop_together(replicas).await;
            step.done(match replicas.len() {
                1 => "stopped".to_owned(),
                several => format!("stopped {several} replicas"),
            });
        }
        let step = self.journal.step("stop ministack");
        if self.s3.stop().await && self.s3.crashes() == 0 {
            // The emulator wrote the buckets' settings down: terraform need not apply them again.
            let _ = fs::write(self.orderly(), "");
        }
        step.done("stopped");
        let step = self.journal.step("stop kafka");
        stop_together(&self.kafka).await;
        step.done("stopped");
        self.stopped = true;
    }
}

/// Begins all, then waits for all.
pub(crate) async fn stop_together(processes: &[Process]) {
    let begun: Vec<_> = processes.iter().map(Process::begin_stop).collect();
    for stopped in begun {
        let _ = stopped.await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        self.journal.watch(None);
        self.processes().for_each(|process| process.set_restarts(false));
        let pids: Vec<u32> = self.processes().filter_map(Process::pid).collect();
        for pid in &pids {
            // It may have ended by itself.
            let _ = sys::send(*pid, Signal::Kill);
        }
        // Ports are closed and files written when this returns. Two seconds are plenty for the kernel.
        clock::poll_blocking(200, Duration::from_millis(10), || {
            !pids.iter().any(|pid| procfs::is_running(*pid))
        });
        if self.options.test {
            announce(self.home.root());
        }
    }
}

#[allow(clippy::print_stderr, reason = "a test that failed must say where its logs are")]
fn announce(folder: &Path) {
    eprintln!("the stack was not stopped in order: its logs are kept in {}", folder.join("logs").display());
}
