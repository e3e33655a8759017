//! `pageviews dashboard` beside the stack. It only looks: whatever becomes of it, the stack is up.

use std::time::Duration;

use crate::process::{Limits, Process};
use crate::stack::Stack;
use crate::watch::Probe;
use crate::{Service, cli, ports, procfs};

/// Its name, in `stack status` and as a log.
pub(crate) const NAME: &str = "dashboard";
/// How long it may take to become ready: it waits for nobody.
const READY: Duration = Duration::from_secs(10);

impl Stack {
    /// What tells `pageviews dashboard` and `pageviews watch` where the replicas of this stack are.
    pub fn dashboard_sources(&self) -> Vec<String> {
        let source = |service: Service| [format!("--{service}"), self.options.ports.all(service)];
        Service::ALL.into_iter().flat_map(source).collect()
    }

    /// Where the dashboard is, without a slash at the end; `None` where there is none.
    pub fn dashboard_url(&self) -> Option<String> {
        self.dashboard.as_ref().map(|_| format!("http://127.0.0.1:{}", self.options.ports.dashboard))
    }

    /// Starts it, or says why there is none: it stops nothing else.
    pub(crate) async fn bring_up_dashboard(&mut self, audit_every: Duration) {
        let port = self.options.ports.dashboard;
        let step = self.journal.step(NAME);
        if !ports::is_free(port) {
            let holder = procfs::listener(port).map(|(name, pid)| format!(" by {name} (pid {pid})"));
            let holder = holder.unwrap_or_default();
            return step.done(format!("none: port {port} is taken{holder}; DASHBOARD_PORT moves it"));
        }
        let process = self.new_dashboard(port, audit_every);
        process.start().await;
        let ready = process.ready().await;
        self.dashboard = Some(process);
        self.update_board();
        step.done(match ready {
            Ok(()) => format!("on http://localhost:{port}"),
            Err(error) => format!("the rest goes on without it: {error}"),
        });
    }

    fn new_dashboard(&self, port: u16, audit_every: Duration) -> Process {
        let (listen, audit_every) = (format!("127.0.0.1:{port}"), format!("{}s", audit_every.as_secs()));
        let arguments = ["dashboard", "--listen", &listen, "--audit-every", &audit_every].map(str::to_owned);
        let arguments = [arguments.to_vec(), self.dashboard_sources()].concat();
        let binary = self.options.bin_dir.join(cli::BINARY);
        let (launcher, folder) = (self.launcher.clone(), self.options.repo.clone());
        let variables = self.env();
        let recipe = Box::new(move || {
            let mut command = launcher.command(&binary);
            command.args(&arguments).current_dir(&folder).envs(variables.clone());
            command
        });
        let limits = Limits { ready: READY, ..self.limits() };
        Process::new(NAME.into(), port, Probe::Dashboard, recipe, limits, &self.home, &self.journal)
    }
}
