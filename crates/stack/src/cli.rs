//! The `pageviews` command against this stack.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::error::{Context, Result};
use crate::stack::Stack;
use crate::sys::Signal;
use crate::tool::Tool;
use crate::{environment, launch};

pub(crate) const BINARY: &str = "pageviews";
/// It retries by itself while the broker finishes its start.
const TOPICS_LIMIT: Duration = Duration::from_secs(60);

impl Stack {
    /// What a client needs in its environment to reach this stack: `pageviews`, or any of our services.
    pub fn env(&self) -> Vec<(String, String)> {
        self.client_variables().into_iter().chain(self.options.env.clone()).collect()
    }

    /// Runs `pageviews` with these arguments to its end.
    pub async fn cli(&self, arguments: &[&str]) -> Result<Output> {
        let child = self.cli_child(arguments).await?;
        child.wait_with_output().await.context(|| format!("cannot wait for {BINARY}"))
    }

    /// Starts `pageviews` with these arguments, its output piped: a load generator in the background, say.
    pub async fn cli_child(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.cli_command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        launch::spawn(command).await.context(|| format!("cannot start {BINARY}"))
    }

    /// Sends a command of [`Stack::cli_child`] a signal: a load generator ends in order when told to.
    pub fn signal_child(&self, child: &Child, signal: Signal) -> Result<()> {
        launch::signal(child, BINARY, signal)
    }

    pub(crate) async fn create_topics(&self) -> Result<()> {
        let step = self.journal.step("topics");
        let log = self.home.log("topics");
        let tool = Tool { what: "`pageviews topics`", log: &log, limit: TOPICS_LIMIT };
        tool.run(self.cli_command(&["topics"]), |line| step.progress(line)).await?;
        step.done("there");
        Ok(())
    }

    fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.launcher.command(self.options.bin_dir.join(BINARY));
        command.args(arguments).current_dir(&self.options.repo).envs(self.env());
        command
    }

    /// What every one of our processes is told. On the stack of `make up` the caller's own choice of
    /// configuration and address goes first.
    pub(crate) fn client_variables(&self) -> Vec<(String, String)> {
        let chosen = |name: &str| !self.options.test && std::env::var_os(name).is_some();
        let mut variables = environment::client(&self.options.ports, &self.options.config);
        variables.retain(|(name, _)| match name.as_str() {
            "PAGEVIEW_CONFIG" => !chosen(name) && !chosen("PAGEVIEW_PROFILE"),
            "PAGEVIEW_SERVER__HOST" => !chosen(name),
            _ => true,
        });
        variables
    }
}
