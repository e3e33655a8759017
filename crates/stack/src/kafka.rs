//! A Kafka broker that is a controller too (KRaft), alone or one of three.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use crate::error::{Context, Result};
use crate::launch::{self, Launcher};
use crate::ports::KafkaPorts;
use crate::tool::Tool;
use crate::{Home, Ports};

/// Formatting takes a second; a machine that is busy building may take longer.
const FORMAT_LIMIT: Duration = Duration::from_secs(60);

/// Everything needed to start the broker.
#[derive(Debug, Clone)]
pub(crate) struct Kafka {
    pub(crate) java: PathBuf,
    pub(crate) jars: PathBuf,
    pub(crate) folder: PathBuf,
    /// Its place among the brokers, from 0.
    pub(crate) index: usize,
    /// Whether to start quickly rather than run fast: for tests.
    pub(crate) quick: bool,
    /// How long a group's first member waits for others.
    pub(crate) first_member_waits: Duration,
    /// After how long without a heartbeat it is taken for dead.
    pub(crate) session: Duration,
}

impl Kafka {
    /// Writes the configuration, and formats the data folder for `cluster` unless it has data.
    pub(crate) async fn prepare(
        &self,
        cluster: &str,
        launcher: &Launcher,
        home: &Home,
        ports: &Ports,
    ) -> Result<()> {
        let write = |path: PathBuf, text: String| {
            fs::write(&path, text).context(|| format!("cannot write {}", path.display()))
        };
        fs::create_dir_all(&self.folder).context(|| format!("cannot create {}", self.folder.display()))?;
        write(self.properties(), self.settings(ports))?;
        write(self.log4j(), LOG4J.to_owned())?;
        if self.data().join("meta.properties").exists() {
            return Ok(());
        }
        let mut command = self.tool(launcher, "kafka.tools.StorageTool");
        command.args(["format", "--ignore-formatted", "--cluster-id"]);
        command.arg(cluster).arg("--config").arg(self.properties());
        let log = home.log(&format!("format-{}", self.name()));
        Tool { what: "formatting Kafka's data folder", log: &log, limit: FORMAT_LIMIT }
            .run(command, |_| ())
            .await
    }

    /// The command that runs the broker.
    pub(crate) fn command(&self, launcher: &Launcher) -> Command {
        let mut command = launcher.command(&self.java);
        // Records are kept in the page cache, not in the heap.
        command.args(["-Xms128m", "-Xmx512m"]);
        match self.quick {
            true => command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]),
            false => command.args(["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]),
        };
        command.args(self.class_path()).arg("kafka.Kafka").arg(self.properties());
        command
    }

    /// The command that runs one of Kafka's tools, which are done within seconds.
    pub(crate) fn tool(&self, launcher: &Launcher, class: &str) -> Command {
        let mut command = launcher.command(&self.java);
        command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        command.args(self.class_path()).arg(class);
        command
    }

    /// Its name as a process, and of its folder.
    pub(crate) fn name(&self) -> String {
        name(self.index)
    }

    fn class_path(&self) -> [OsString; 3] {
        let mut log4j = OsString::from("-Dlog4j2.configurationFile=");
        log4j.push(self.log4j());
        ["-cp".into(), self.jars.join("*").into(), log4j]
    }

    /// `server.properties`.
    fn settings(&self, ports: &Ports) -> String {
        let brokers = ports.kafka();
        let KafkaPorts { clients, quorum } = brokers[self.index];
        let voter =
            |(index, broker): (usize, &KafkaPorts)| format!("{}@127.0.0.1:{}", index + 1, broker.quorum);
        let voters: Vec<_> = brokers.iter().enumerate().map(voter).collect();
        format!(
            "\
process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{clients},CONTROLLER://127.0.0.1:{quorum}
advertised.listeners=PLAINTEXT://127.0.0.1:{clients}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}

# Topics are made by `pageviews topics`, with the settings that the promise needs.
auto.create.topics.enable=false

offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}

# The default of 50 partitions each is what a start, and a restart after a crash, would spend its time on.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4

group.initial.rebalance.delay.ms={first_member_waits}
group.coordinator.rebalance.protocols=classic,consumer

# After kill -9 the controller lets the broker back in once its old session is over.
broker.session.timeout.ms={session}
broker.heartbeat.interval.ms=500
",
            id = self.index + 1,
            voters = voters.join(","),
            data = self.data().display(),
            replicas = brokers.len(),
            in_sync = if brokers.len() < 3 { 1 } else { 2 },
            first_member_waits = self.first_member_waits.as_millis(),
            session = self.session.as_millis()
        )
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn log4j(&self) -> PathBuf {
        self.folder.join("log4j2.yaml")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

const LOG4J: &str = "\
Configuration:
  Appenders:
    Console: {name: out, target: SYSTEM_OUT, PatternLayout: {pattern: \"%d %p %m (%c)%n\"}}
  Loggers:
    Root: {level: INFO, AppenderRef: [{ref: out}]}
    Logger:
      # Every setting of the broker, and one line a segment: several hundred lines that nobody asked for.
      - {name: org.apache.kafka.common.config.AbstractConfig, level: WARN}
      - {name: org.apache.kafka.storage.internals.log, level: WARN}
";

/// What the broker at this place, from 0, is called.
pub(crate) fn name(index: usize) -> String {
    match index {
        0 => "kafka".to_owned(),
        index => format!("kafka-{}", index + 1),
    }
}

/// Kafka's own form of a UUID: 128 bits in URL-safe base64. The last of its 22 characters carries two bits only.
pub(crate) fn cluster_id() -> Result<String> {
    let text = launch::random_text(21).context(|| "no random numbers".into())?;
    Ok(text + "A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(index: usize, brokers: usize) -> String {
        let kafka = Kafka {
            java: "java".into(),
            jars: "libs".into(),
            folder: "/x".into(),
            index,
            quick: true,
            first_member_waits: Duration::from_secs(3),
            session: Duration::from_secs(4),
        };
        kafka.settings(&Ports::local().with_brokers(brokers))
    }

    #[test]
    fn clients_are_sent_to_the_port_of_the_plan() {
        let text = settings(0, 1);
        assert!(text.contains("\nadvertised.listeners=PLAINTEXT://127.0.0.1:9092\n"));
        assert!(text.contains("\ncontroller.quorum.voters=1@127.0.0.1:9093\n"));
        assert!(text.contains("\nlog.dirs=/x/data\n"));
        assert!(text.contains("\ngroup.initial.rebalance.delay.ms=3000\n"));
        assert!(text.contains("\noffsets.topic.replication.factor=1\n"));
    }

    #[test]
    fn each_of_three_brokers_knows_the_others() {
        let text = settings(2, 3);
        assert!(text.contains("\nnode.id=3\n"));
        assert!(
            text.contains("\ncontroller.quorum.voters=1@127.0.0.1:9093,2@127.0.0.1:9095,3@127.0.0.1:9097\n")
        );
        assert!(text.contains("\ntransaction.state.log.min.isr=2\n"));
    }

    #[test]
    fn a_cluster_id_has_the_length_of_a_uuid() {
        assert_eq!(cluster_id().unwrap().len(), 22);
    }
}
