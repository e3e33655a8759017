//! The pipeline of docker-compose.yml, under a project name and on ports of its own, driven as `make` drives it.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command as Blocking, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Load, eventually};
use serde_json::Value;
use stack::{Options, metric_sum};
use tokio::process::Command;

/// How long anything may take to become as it should be.
const PATIENCE: Duration = Duration::from_secs(60);

/// The services, each with its port and a counter of what a replica has done.
pub(crate) const SERVICES: [Service; 3] = [
    Service { name: "ingest-api", port: 8080, work: "pageviews_produced_total" },
    Service { name: "aggregator", port: 8081, work: "pageviews_consumed_total" },
    Service { name: "s3-sink", port: 8082, work: "s3_written_records_total" },
];

/// One of our services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    port: u16,
    work: &'static str,
}

/// A project of compose. What a test that fails leaves behind goes when this is dropped.
pub(crate) struct Compose {
    project: String,
    options: Options,
}

impl Compose {
    pub(crate) fn new() -> Result<Self> {
        let options = Options::test("containers")?;
        fs::create_dir_all(&options.home)?;
        Ok(Self { project: format!("pageviews-test-{}", std::process::id()), options })
    }

    /// What `make` does where the pipeline runs in containers: `up`, `scale aggregator 3`.
    pub(crate) async fn make(&self, arguments: &[&str]) -> Result<String> {
        self.run("deploy/containers.sh", arguments).await
    }

    pub(crate) async fn compose(&self, arguments: &[&str]) -> Result<String> {
        self.run("docker", &[&["compose"], arguments].concat()).await
    }

    pub(crate) async fn docker(&self, arguments: &[&str]) -> Result<String> {
        self.run("docker", arguments).await
    }

    /// `pageviews` on this machine, over the published ports.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Result<Value> {
        let program = self.options.bin_dir.join("pageviews");
        let text = self.run(program.to_str().context("a path that is not UTF-8")?, arguments).await?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.options.ports.api)
    }

    /// Load through the gateway, each request with an `Idempotency-Key`.
    pub(crate) fn load(&self, name: &str) -> Result<Load> {
        let receipts = self.options.home.join(format!("{name}.receipts"));
        let mut command = self.command(self.options.bin_dir.join("pageviews"));
        command.args([
            "generate",
            "--json",
            "--keys",
            "--rate",
            "4000",
            "--batch",
            "50",
            "--duration",
            "15m",
        ]);
        command.arg("--url").arg(self.url()).arg("--receipts").arg(&receipts);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(Load::of(command.spawn()?, receipts))
    }

    /// The ids of the containers of a service.
    pub(crate) async fn replicas(&self, service: Service) -> Result<Vec<String>> {
        let ids = self.compose(&["ps", "--quiet", service.name]).await?;
        Ok(ids.lines().map(str::to_owned).collect())
    }

    /// Waits until every one of `replicas` replicas is healthy, and has done some work.
    pub(crate) async fn all_work(&self, service: Service, replicas: usize) -> Result<()> {
        let what = format!("{replicas} replicas of {} are healthy and work", service.name);
        eventually(&what, PATIENCE, async || {
            let ids = self.replicas(service).await?;
            ensure!(ids.len() == replicas, "there are {}", ids.len());
            for id in ids {
                let state = self.docker(&["inspect", "--format", "{{.State.Health.Status}}", &id]).await?;
                ensure!(state.trim() == "healthy", "{id} is {state}");
                let metrics = self.get(&id, service.port, "/metrics").await?;
                ensure!(metric_sum(&metrics, service.work) > Some(0.0), "{id} has done nothing");
            }
            Ok(Some(()))
        })
        .await
    }

    /// How many requests the gateway has sent again.
    pub(crate) async fn gateway_retries(&self) -> Result<f64> {
        let gateway = self.compose(&["ps", "--quiet", "gateway"]).await?;
        let metrics = self.get(gateway.trim(), 8404, "/metrics").await?;
        metric_sum(&metrics, "haproxy_backend_retry_warnings_total").context("the gateway has no such metric")
    }

    /// Asks a container from inside: its ports are not published.
    async fn get(&self, id: &str, port: u16, path: &str) -> Result<String> {
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        );
        self.docker(&["exec", id, "bash", "-c", &script]).await
    }

    /// Sends the process in a container a signal, as from nowhere: `docker kill` would count as a wish that it stays down.
    pub(crate) async fn signal(&self, id: &str, signal: &str) -> Result<()> {
        let pid = self.pid(id).await?;
        self.run("kill", &["-s", signal, &pid.to_string()]).await?;
        Ok(())
    }

    /// The id that the process in a container has on this machine.
    pub(crate) async fn pid(&self, id: &str) -> Result<u32> {
        let pid = self.docker(&["inspect", "--format", "{{.State.Pid}}", id]).await?;
        let pid = pid.trim().parse()?;
        ensure!(pid > 1, "{id} has no process");
        Ok(pid)
    }

    /// Runs a program that has to succeed: what it has written to standard output.
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program).args(arguments).output().await;
        let output = output.with_context(|| format!("cannot run {program}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(
            output.status.success(),
            "{program} {arguments:?}: {:?}\n{}\n{}",
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.options.repo).envs(self.environment()).stdin(Stdio::null());
        command
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let ports = &self.options.ports;
        vec![
            ("COMPOSE_PROJECT_NAME", self.project.clone()),
            ("STACK_DIR", self.options.home.display().to_string()),
            ("IMAGE_TAG", "test".to_owned()),
            ("API_PORT", ports.api.to_string()),
            ("KAFKA_PORT", ports.first_broker().to_string()),
            ("S3_PORT", ports.s3.to_string()),
            ("PROMETHEUS_PORT", self.prometheus_port().to_string()),
            ("DASHBOARD_PORT", ports.dashboard.to_string()),
            ("PAGEVIEW_CONFIG", self.options.repo.join("deploy/config/local.toml").display().to_string()),
            ("PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS", format!("localhost:{}", ports.first_broker())),
            ("PAGEVIEW_AWS__S3__ENDPOINT_OVERRIDE", format!("http://127.0.0.1:{}", ports.s3)),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    pub(crate) const fn dashboard_port(&self) -> u16 {
        self.options.ports.dashboard
    }

    /// One more of the block that no other test has.
    pub(crate) const fn prometheus_port(&self) -> u16 {
        self.options.ports.api + 1
    }

    /// What Docker has: containers and networks of this project, and all volumes, for some have no name.
    pub(crate) async fn inventory(&self) -> Result<BTreeSet<String>> {
        let label = format!("label=com.docker.compose.project={}", self.project);
        let mut inventory = BTreeSet::new();
        for list in [
            &["ps", "--all", "--filter", &label][..],
            &["network", "ls", "--filter", &label],
            &["volume", "ls"],
        ] {
            let ids = self.docker(&[list, &["--quiet"]].concat()).await?;
            inventory.extend(ids.lines().map(|id| format!("{} {id}", list[0])));
        }
        Ok(inventory)
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        let mut down = Blocking::new("docker");
        down.args(["compose", "--profile", "*", "down", "--volumes", "--timeout", "1"]);
        down.current_dir(&self.options.repo).envs(self.environment()).stdin(Stdio::null());
        let _ = down.stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.options.home);
    }
}
