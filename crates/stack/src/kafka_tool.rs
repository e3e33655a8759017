//! Kafka's own command line tools against this stack: Java clients.

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;

use crate::error::{Context, Result};
use crate::launch;
use crate::stack::Stack;

impl Stack {
    /// Runs the tool of Kafka's with this class to its end: `org.apache.kafka.tools.ConsoleProducer`, say. It is told where
    /// the brokers are, and reads `input`.
    pub async fn kafka_tool(&self, class: &str, arguments: &[&str], input: &[u8]) -> Result<Output> {
        let mut command = self.tools.tool(&self.launcher, class);
        command.arg("--bootstrap-server").arg(self.kafka_bootstrap()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = launch::spawn(command).await.context(|| format!("cannot start {class}"))?;
        let mut stdin = child.stdin.take();
        let write = async {
            // A tool that has ended without reading everything says why itself.
            if let Some(stdin) = &mut stdin {
                let _ = stdin.write_all(input).await;
            }
            drop(stdin);
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), write);
        output.context(|| format!("cannot wait for {class}"))
    }
}
