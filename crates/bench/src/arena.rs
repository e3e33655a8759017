//! What the contestants share: Kafka, and where everything is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use stack::Broker;
use tokio::process::Command;

/// How long anything may take: the slowest contestant reads 10 million events in half a minute on an idle machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(1200);

/// The place of a benchmark.
pub(crate) struct Arena {
    pub(crate) broker: Broker,
    /// Variables for our services, on top of what the benchmark needs.
    pub(crate) env: Vec<(String, String)>,
    bin_dir: PathBuf,
    http: reqwest::Client,
}

impl Arena {
    /// Starts Kafka in `folder`.
    pub(crate) async fn open(folder: &Path, env: &[(String, String)]) -> anyhow::Result<Self> {
        let binary = std::env::current_exe().context("cannot find the folder of the binaries")?;
        let bin_dir = binary.parent().unwrap_or(Path::new("/")).to_owned();
        for name in ["aggregator", "ingest-api", "s3-sink", "bench-bare"] {
            let path = bin_dir.join(name);
            ensure!(path.is_file(), "{} is missing: build it with `make build`", path.display());
        }
        let broker = Broker::start(folder, |event| {
            if let stack::Event::Done { step, text, .. } = event {
                eprintln!("{step}: {text}");
            }
        });
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        Ok(Self { broker: broker.await?, env: env.to_owned(), bin_dir, http })
    }

    /// A command for one of our binaries.
    pub(crate) fn command(&self, binary: &str) -> Command {
        self.broker.command(self.bin_dir.join(binary))
    }

    /// For a Kafka client's `bootstrap.servers`.
    pub(crate) fn bootstrap(&self) -> String {
        self.broker.bootstrap()
    }

    /// The log of a contestant.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.broker.home().log(name)
    }

    /// What is at `url`.
    pub(crate) async fn get(&self, url: &str) -> reqwest::Result<String> {
        self.http.get(url).send().await?.error_for_status()?.text().await
    }
}
