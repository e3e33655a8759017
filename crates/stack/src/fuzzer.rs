//! A fuzzer that sends what an API's own description allows, and what it does not: Schemathesis.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::cache::Cache;
use crate::error::{Context, Result};
use crate::launch;
use crate::stack::Stack;

/// It takes a quarter of a minute.
const LIMIT: Duration = Duration::from_secs(5 * 60);

impl Stack {
    /// Runs Schemathesis on the API to its end, in the stack's folder; fetches it unless it is there.
    pub async fn schemathesis(&self, arguments: &[&str]) -> Result<Output> {
        let python = Cache::of_user().schemathesis(&self.launcher, &self.home, &self.journal).await?;
        let mut command = self.launcher.command(python);
        command.args(["-m", "schemathesis.cli"]).args(arguments).current_dir(self.home.root());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = launch::spawn(command).await.context(|| "cannot start Schemathesis".into())?;
        let ended = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
        ended.map_err(io::Error::from).flatten().context(|| "cannot wait for Schemathesis".into())
    }
}
