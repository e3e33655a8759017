//! The AWS emulator: S3 and, later, the rest, on one port.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::environment::{self, BUCKET};
use crate::error::{Context, Error, Result};
use crate::launch::Launcher;
use crate::{Ports, health};

/// Everything needed to start it.
#[derive(Debug, Clone)]
pub(crate) struct MiniStack {
    pub(crate) python: PathBuf,
    pub(crate) folder: PathBuf,
}

impl MiniStack {
    pub(crate) fn prepare(&self) -> Result<()> {
        for folder in [self.state(), self.objects(), self.scratch()] {
            std::fs::create_dir_all(&folder).context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(())
    }

    /// The command that runs it. Objects survive `kill -9`; the buckets' settings survive an ordered stop only.
    pub(crate) fn command(&self, launcher: &Launcher, ports: &Ports) -> Command {
        let mut command = launcher.command(&self.python);
        command.args(["-m", "ministack"]);
        command.env("PERSIST_STATE", "1").env("STATE_DIR", self.state());
        command.env("S3_PERSIST", "1").env("S3_DATA_DIR", self.objects());
        command.env("GATEWAY_PORT", ports.s3.to_string()).env("BIND_HOST", "127.0.0.1");
        // It writes a pid file, named after the port only.
        command.env("TMPDIR", self.scratch());
        command.env("PYTHONUNBUFFERED", "1").env("LOG_LEVEL", "WARNING");
        command
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    fn scratch(&self) -> PathBuf {
        self.folder.join("tmp")
    }
}

/// `Err` says why not.
pub(crate) async fn answers(ports: &Ports) -> std::result::Result<(), String> {
    let url = format!("{}/_ministack/health", environment::s3_endpoint(ports));
    let answer = health::client().get(url).send().await.map_err(|error| health::cause(&error))?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(format!("it answers {}", answer.status())),
    }
}

/// Whether the bucket is there.
pub(crate) async fn has_bucket(ports: &Ports) -> bool {
    let answer = health::client().head(bucket_url(ports)).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// Makes the bucket unless it is there: a plain PUT, since the emulator takes any credentials, none included.
pub(crate) async fn create_bucket(ports: &Ports, log: &Path) -> Result<()> {
    if has_bucket(ports).await {
        return Ok(());
    }
    // Without a region the bucket would be in us-east-1, and clients that look for it in another are sent away.
    let region = format!(
        "<CreateBucketConfiguration><LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>",
        environment::REGION
    );
    let answer = health::client().put(bucket_url(ports)).body(region).send().await;
    let reason = match answer {
        Ok(answer) if answer.status().is_success() => return Ok(()),
        Ok(answer) => format!("S3 answers {}", answer.status()),
        Err(error) => health::cause(&error),
    };
    Err(Error::Tool { what: format!("creating the bucket {BUCKET}"), reason, log: log.to_owned() })
}

fn bucket_url(ports: &Ports) -> String {
    format!("{}/{BUCKET}", environment::s3_endpoint(ports))
}
