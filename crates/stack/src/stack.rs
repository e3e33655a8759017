//! The whole stack, from nothing to ready and back.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::board::Board;
use crate::cache::Cache;
use crate::error::{Context, Error, Result};
use crate::kafka::{Kafka, cluster_id};
use crate::launch::Launcher;
use crate::ministack::{self, MiniStack};
use crate::ports::KafkaPorts;
use crate::process::{Limits, Process};
use crate::status::Status;
use crate::terraform::{Outcome, Terraform};
use crate::watch::Probe;
use crate::{Home, Journal, Options, Ports, Service};
use crate::{environment, java, launch, ports};

/// A running stack. Dropping it kills all its processes; [`Stack::stop`] ends them in order.
pub struct Stack {
    pub(crate) options: Options,
    pub(crate) home: Home,
    pub(crate) journal: Journal,
    pub(crate) launcher: Launcher,
    /// Kafka's tools, which are in the jars of the broker.
    pub(crate) tools: Kafka,
    /// Variables that were set after the start, for one service each.
    pub(crate) overrides: Overrides,
    pub(crate) services: BTreeMap<Service, Vec<Process>>,
    pub(crate) restarts: HashMap<Service, bool>,
    pub(crate) board: Board,
    /// A process for each broker.
    pub(crate) kafka: Vec<Process>,
    pub(crate) s3: Process,
    /// Where it is wanted, and could be started.
    pub(crate) dashboard: Option<Process>,
    pub(crate) stopped: bool,
}

pub(crate) type Overrides = Arc<Mutex<HashMap<Service, BTreeMap<String, String>>>>;

impl Stack {
    /// Starts everything, and returns when every service is ready.
    pub async fn start(options: Options) -> Result<Stack> {
        let home = Home::at(&options.home)?;
        home.create()?;
        let journal = Journal::open(&home.log("stack"))?;
        let mark = launch::random_text(16).context(|| "no random numbers".into())?;
        Stack::start_as(options, &mark, Board::default(), journal).await
    }

    /// [`Stack::start`] for a supervisor: its processes carry `mark`, and appear on `board` as they are started.
    pub(crate) async fn start_as(
        options: Options,
        mark: &str,
        board: Board,
        journal: Journal,
    ) -> Result<Stack> {
        let home = Home::at(&options.home)?;
        home.create()?;
        let launcher = Launcher { mark: mark.to_owned(), hermetic: options.test };
        check_binaries(&options)?;
        ports::check_free(options.ports.needed())?;
        let java = java::find(&launcher).await?;
        let cache = Cache::of_user();
        let fetched = tokio::try_join!(
            cache.kafka(&launcher, &home, &journal),
            cache.ministack(&launcher, &home, &journal)
        );
        let (jars, python) = fetched?;
        let broker = |index| Kafka {
            java: java.clone(),
            jars: jars.clone(),
            folder: home.kafka(index),
            index,
            quick: options.test,
            // One replica is what it starts with.
            first_member_waits: Duration::ZERO,
            session: options.broker_session,
        };
        let kafka: Vec<_> = (0..options.ports.kafka().len()).map(broker).collect();
        let s3 = MiniStack { python, folder: home.s3() };

        let limits = Limits { ready: options.ready_within, stop: options.stop_within };
        let ports = options.ports.clone();
        let kafka_process = |(broker, at): (&Kafka, &KafkaPorts)| {
            let (broker, by) = (broker.clone(), launcher.clone());
            let probe = Probe::Kafka(ports.kafka().len());
            let (name, recipe) = (broker.name(), Box::new(move || broker.command(&by)));
            Process::new(name, at.clients, probe, recipe, limits, &home, &journal)
        };
        let kafka_processes: Vec<_> = kafka.iter().zip(ports.kafka()).map(kafka_process).collect();
        let (emulator, by, at) = (s3.clone(), launcher.clone(), ports.clone());
        let s3_process = Process::new(
            "ministack".into(),
            ports.s3,
            Probe::S3(ports.clone()),
            Box::new(move || emulator.command(&by, &at)),
            limits,
            &home,
            &journal,
        );
        board.replace(kafka_processes.iter().chain([&s3_process]));
        let mut stack = Stack {
            overrides: Overrides::default(),
            services: BTreeMap::new(),
            restarts: HashMap::new(),
            kafka: kafka_processes,
            s3: s3_process,
            dashboard: None,
            stopped: false,
            options,
            home,
            journal,
            launcher,
            tools: kafka[0].clone(),
            board,
        };
        stack.bring_up(&kafka, &s3).await?;
        if let Some(audit_every) = stack.options.dashboard {
            stack.bring_up_dashboard(audit_every).await;
        }
        Ok(stack)
    }

    async fn bring_up(&mut self, kafka: &[Kafka], s3: &MiniStack) -> Result<()> {
        let ((), had_bucket) = tokio::try_join!(self.bring_up_kafka(kafka), self.bring_up_s3(s3))?;
        let wanted = self.options.replicas.clone();
        for (service, replicas) in &wanted {
            self.set_replicas(*service, *replicas).await?;
        }
        let services = async {
            for service in wanted.keys() {
                self.report_ready(*service).await?;
            }
            Ok(())
        };
        // Where the bucket was there already, the services need not wait for terraform to look it over.
        let bucket = async {
            match had_bucket {
                true => self.provision().await,
                false => Ok(()),
            }
        };
        tokio::try_join!(services, bucket).map(|_| ())
    }

    async fn bring_up_kafka(&self, kafka: &[Kafka]) -> Result<()> {
        let step = self.journal.step("kafka");
        let cluster = cluster_id()?;
        for broker in kafka {
            broker.prepare(&cluster, &self.launcher, &self.home, &self.options.ports).await?;
        }
        for broker in &self.kafka {
            broker.start().await;
        }
        for broker in &self.kafka {
            broker.ready().await?;
        }
        step.done(format!("answers on {}", self.kafka_bootstrap()));
        match self.options.topics {
            true => self.create_topics().await,
            false => Ok(()),
        }
    }

    /// Returns whether the bucket was there before.
    async fn bring_up_s3(&self, s3: &MiniStack) -> Result<bool> {
        let step = self.journal.step("ministack");
        s3.prepare()?;
        if fs::remove_file(self.orderly()).is_err() {
            Terraform::forget_applied(&self.home);
        }
        self.s3.start().await;
        self.s3.ready().await?;
        step.done(format!("answers on {}", self.s3_endpoint()));
        let had_bucket = ministack::has_bucket(&self.options.ports).await;
        if !had_bucket {
            self.provision().await?;
            // The emulator writes a bucket's settings down when it stops in order, its region among them: without one a
            // later crash would leave the objects in a bucket that every client is sent away from.
            self.s3.stop().await;
            self.s3.start().await;
            self.s3.ready().await?;
        }
        Ok(had_bucket)
    }

    /// The bucket, by terraform where that is wanted and possible.
    async fn provision(&self) -> Result<()> {
        let Options { repo, ports, .. } = &self.options;
        let log = self.home.log("ministack");
        if !self.options.terraform {
            return ministack::create_bucket(ports, &log).await;
        }
        let step = self.journal.step("terraform");
        let terraform = Terraform { repo, home: &self.home, ports, launcher: &self.launcher };
        match terraform.apply(|line| step.progress(line)).await? {
            Outcome::Applied => step.done("applied terraform/environments/local"),
            Outcome::Unchanged => step.done("nothing to change"),
            Outcome::OutOfReach(why) => {
                ministack::create_bucket(ports, &log).await?;
                step.done(format!("{why}: created the bucket {} without it", environment::BUCKET));
            }
        }
        Ok(())
    }

    /// Runs terraform with these arguments to its end, in `terraform/environments/local` as a copy of this stack's.
    pub async fn terraform(&self, arguments: &[&str]) -> Result<Output> {
        let (home, launcher) = (&self.home, &self.launcher);
        let Options { repo, ports, .. } = &self.options;
        Terraform { repo, home, ports, launcher }.run(arguments).await
    }

    /// Kafka, or the first broker of it: to stop, start, kill and freeze it.
    pub fn kafka(&self) -> &Process {
        &self.kafka[0]
    }

    /// Every broker.
    pub fn brokers(&self) -> &[Process] {
        &self.kafka
    }

    /// The S3 emulator: to stop, start, kill and freeze it.
    pub fn s3(&self) -> &Process {
        &self.s3
    }

    /// For a Kafka client's `bootstrap.servers`.
    pub fn kafka_bootstrap(&self) -> String {
        environment::kafka_bootstrap(&self.options.ports)
    }

    /// For an S3 client's endpoint; it wants path-style addresses and takes any credentials.
    pub fn s3_endpoint(&self) -> String {
        environment::s3_endpoint(&self.options.ports)
    }

    /// The API's base URL, without a slash at the end.
    pub fn api_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.options.ports.api)
    }

    /// Who listens where.
    pub fn ports(&self) -> &Ports {
        &self.options.ports
    }

    /// Its folder.
    pub fn home(&self) -> &Path {
        self.home.root()
    }

    /// The folder of all logs, one file a process.
    pub fn logs_dir(&self) -> PathBuf {
        self.home.logs()
    }

    /// What all its processes carry in their environment: see [`crate::marked`].
    pub fn mark(&self) -> &str {
        &self.launcher.mark
    }

    /// How every process is, right now.
    pub async fn status(&self) -> Status {
        Status { started: true, rows: self.board.rows().await }
    }

    /// Says that the emulator was never killed since terraform was applied.
    pub(crate) fn orderly(&self) -> PathBuf {
        self.home.s3().join("stopped-in-order")
    }

    /// Shows the board what there is now.
    pub(crate) fn update_board(&self) {
        self.board.replace(self.processes());
    }

    /// The infrastructure, every replica of every service, and the dashboard.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        let services = self.services.values().flatten();
        self.kafka.iter().chain([&self.s3]).chain(services).chain(&self.dashboard)
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { ready: self.options.ready_within, stop: self.options.stop_within }
    }
}

fn check_binaries(options: &Options) -> Result<()> {
    let services =
        options.replicas.iter().filter(|(_, replicas)| **replicas > 0).map(|(service, _)| service.name());
    let cli = (options.topics || options.dashboard.is_some()).then_some(crate::cli::BINARY);
    let paths = services.chain(cli).map(|name| options.bin_dir.join(name));
    match paths.into_iter().find(|path| !path.is_file()) {
        Some(missing) => Err(Error::BinaryMissing(missing)),
        None => Ok(()),
    }
}
