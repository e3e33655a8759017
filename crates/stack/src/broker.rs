//! Just Kafka, without the pipeline around it: for a benchmark.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::cache::Cache;
use crate::error::{Context, Result};
use crate::kafka::{Kafka, cluster_id};
use crate::launch::Launcher;
use crate::options::BROKER_SESSION;
use crate::process::{Limits, Process};
use crate::watch::Probe;
use crate::{
    Emulator, Event, Home, Journal, Ports, Service, Signal, cache, environment, java, launch, ports,
};

pub(crate) const LIMITS: Limits = Limits { ready: Duration::from_secs(90), stop: Duration::from_secs(25) };
/// Kafka's own default: members that start together share the partitions from the first assignment on.
const FIRST_MEMBER_WAITS: Duration = Duration::from_secs(3);

/// A running Kafka with a folder and ports of its own, so it runs beside any stack. Dropping it kills it.
pub struct Broker {
    home: Home,
    journal: Journal,
    launcher: Launcher,
    java: PathBuf,
    ports: Ports,
    kafka: Process,
}

impl Broker {
    /// The release of Kafka that is started.
    pub const KAFKA: &str = cache::KAFKA;

    /// Starts it in `folder`, which need not exist, and returns when it answers. No topic is made.
    pub async fn start(folder: &Path, watch: impl FnMut(&Event) + Send + 'static) -> Result<Broker> {
        let home = Home::at(folder)?;
        home.create()?;
        let journal = Journal::open(&home.log("stack"))?;
        journal.watch(Some(Box::new(watch)));
        let mark = launch::random_text(16).context(|| "no random numbers".into())?;
        let launcher = Launcher { mark, hermetic: true };
        let ports = Ports::reserve()?;
        ports::check_free(ports.needed())?;
        let java = java::find(&launcher).await?;
        let jars = Cache::of_user().kafka(&launcher, &home, &journal).await?;
        let broker = Kafka {
            java: java.clone(),
            jars,
            folder: home.kafka(0),
            index: 0,
            quick: false,
            first_member_waits: FIRST_MEMBER_WAITS,
            session: BROKER_SESSION,
        };
        let step = journal.step("kafka");
        broker.prepare(&cluster_id()?, &launcher, &home, &ports).await?;
        let by = launcher.clone();
        let recipe = Box::new(move || broker.command(&by));
        let kafka = Process::new(
            "kafka".into(),
            ports.first_broker(),
            Probe::Kafka(1),
            recipe,
            LIMITS,
            &home,
            &journal,
        );
        // Its data would be there again, but what was measured meanwhile would not be true.
        kafka.set_restarts(false);
        kafka.start().await;
        kafka.ready().await?;
        step.done(format!("answers on {}", environment::kafka_bootstrap(&ports)));
        Ok(Broker { home, journal, launcher, java, ports, kafka })
    }

    /// For a Kafka client's `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        environment::kafka_bootstrap(&self.ports)
    }

    /// A free port for the health and metrics of `service`, if one of it is started by hand.
    pub fn port(&self, service: Service) -> u16 {
        self.ports.health(service, 1)
    }

    /// The folder that it lives in, with its logs; there is room for others.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The Java that it runs on.
    pub fn java(&self) -> &Path {
        &self.java
    }

    /// A command whose process ends when ours does, with our environment but for `PAGEVIEW_` and `AWS_`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.launcher.command(program)
    }

    /// Starts such a command.
    pub async fn spawn(command: Command) -> Result<Child> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        launch::spawn(command).await.context(|| format!("cannot start {program}"))
    }

    /// Sends such a process a signal.
    pub fn signal(child: &Child, signal: Signal) -> Result<()> {
        launch::signal(child, "a client", signal)
    }

    /// The jars of Kafka Streams and a JSON library, fetched unless they are there: the folder for the class path.
    pub async fn streams_jars(&self) -> Result<PathBuf> {
        Cache::of_user().streams(&self.launcher, &self.home, &self.journal).await
    }

    /// The jars of a Kafka consumer and an S3 client, fetched unless they are there: the folder for the class path.
    pub async fn plain_sink_jars(&self) -> Result<PathBuf> {
        Cache::of_user().plain_sink(&self.launcher, &self.home, &self.journal).await
    }

    /// Starts the AWS emulator beside it, with an empty bucket. One at a time.
    pub async fn emulator(&self) -> Result<Emulator> {
        Emulator::start(&self.launcher, &self.home, &self.ports, &self.journal).await
    }

    /// Stops it, and removes its data; the logs stay.
    pub async fn stop(self) -> Result<()> {
        self.kafka.stop().await;
        let data = self.home.kafka(0);
        fs::remove_dir_all(&data).context(|| format!("cannot remove {}", data.display()))
    }
}
