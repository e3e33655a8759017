//! Just S3, beside a [`crate::Broker`]: for a benchmark.

use std::fs;
use std::path::PathBuf;

use crate::broker::LIMITS;
use crate::cache::Cache;
use crate::environment::{self, BUCKET, REGION};
use crate::error::{Context, Result};
use crate::launch::Launcher;
use crate::ministack::{self, MiniStack};
use crate::process::Process;
use crate::watch::Probe;
use crate::{Home, Journal, Ports};

/// A running AWS emulator with one bucket. Dropping it kills it.
pub struct Emulator {
    folder: PathBuf,
    ports: Ports,
    process: Process,
}

impl Emulator {
    /// The name of its bucket.
    pub const BUCKET: &str = BUCKET;

    pub(crate) async fn start(
        launcher: &Launcher,
        home: &Home,
        ports: &Ports,
        journal: &Journal,
    ) -> Result<Emulator> {
        let python = Cache::of_user().ministack(launcher, home, journal).await?;
        let emulator = MiniStack { python, folder: home.s3() };
        emulator.prepare()?;
        let (by, at) = (launcher.clone(), ports.clone());
        let recipe = Box::new(move || emulator.command(&by, &at));
        let probe = Probe::S3(ports.clone());
        let process = Process::new("ministack".into(), ports.s3, probe, recipe, LIMITS, home, journal);
        // Started again it would have forgotten the bucket.
        process.set_restarts(false);
        process.start().await;
        process.ready().await?;
        ministack::create_bucket(ports, &home.log("ministack")).await?;
        Ok(Emulator { folder: home.s3(), ports: ports.clone(), process })
    }

    /// For an S3 client's endpoint; it wants path-style addresses and takes any credentials.
    pub fn endpoint(&self) -> String {
        environment::s3_endpoint(&self.ports)
    }

    /// What our services need in their environment to write to the bucket.
    pub fn env(&self) -> Vec<(String, String)> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        [
            set("PAGEVIEW_AWS__S3__ENDPOINT_OVERRIDE", &self.endpoint()),
            set("PAGEVIEW_AWS__S3__BUCKET_NAME", BUCKET),
            set("PAGEVIEW_AWS__REGION", REGION),
        ]
        .into_iter()
        .chain(environment::credentials())
        .collect()
    }

    /// Stops it, and removes its data.
    pub async fn stop(self) -> Result<()> {
        self.process.stop().await;
        fs::remove_dir_all(&self.folder).context(|| format!("cannot remove {}", self.folder.display()))
    }
}
