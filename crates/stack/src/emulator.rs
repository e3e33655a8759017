//! Just the AWS emulator: beside a [`crate::Broker`] for a benchmark, or by itself for a test of terraform.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::broker::LIMITS;
use crate::cache::Cache;
use crate::environment::{self, BUCKET, REGION};
use crate::error::{Context, Result};
use crate::launch::{self, Launcher};
use crate::ministack::{self, MiniStack};
use crate::process::Process;
use crate::terraform::Terraform;
use crate::watch::Probe;
use crate::{Event, Home, Journal, Ports, ports};

/// A running AWS emulator. Dropping it kills it.
pub struct Emulator {
    home: Home,
    launcher: Launcher,
    ports: Ports,
    process: Process,
}

impl Emulator {
    /// The name of its bucket.
    pub const BUCKET: &str = BUCKET;
    /// Where AWS would have it.
    pub const REGION: &str = REGION;

    /// Starts it in `folder`, which need not exist, and returns when it answers. It is empty, without a bucket even.
    pub async fn alone(folder: &Path, watch: impl FnMut(&Event) + Send + 'static) -> Result<Emulator> {
        let home = Home::at(folder)?;
        home.create()?;
        let journal = Journal::open(&home.log("stack"))?;
        journal.watch(Some(Box::new(watch)));
        let mark = launch::random_text(16).context(|| "no random numbers".into())?;
        let launcher = Launcher { mark, hermetic: true };
        let ports = Ports::reserve()?;
        ports::check_free(ports.needed())?;
        Emulator::run(&launcher, &home, &ports, &journal).await
    }

    /// Starts it with one bucket.
    pub(crate) async fn start(
        launcher: &Launcher,
        home: &Home,
        ports: &Ports,
        journal: &Journal,
    ) -> Result<Emulator> {
        let emulator = Emulator::run(launcher, home, ports, journal).await?;
        ministack::create_bucket(ports, &home.log("ministack")).await?;
        Ok(emulator)
    }

    async fn run(launcher: &Launcher, home: &Home, ports: &Ports, journal: &Journal) -> Result<Emulator> {
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
        Ok(Emulator { home: home.clone(), launcher: launcher.clone(), ports: ports.clone(), process })
    }

    /// Runs terraform with these arguments to its end, in `terraform/environments/local` of the repository `repo`, as a copy
    /// with a state of its own. It knows the endpoint.
    pub async fn terraform(&self, repo: &Path, arguments: &[&str]) -> Result<Output> {
        let Emulator { home, launcher, ports, .. } = self;
        Terraform { repo, home, ports, launcher }.run(arguments).await
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
        let data = self.home.s3();
        fs::remove_dir_all(&data).context(|| format!("cannot remove {}", data.display()))
    }
}
