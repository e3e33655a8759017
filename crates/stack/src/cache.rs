//! Fetches Kafka and the AWS emulator, once for all stacks of this user.
//!
//! A folder of the cache is complete or is not there: everything is fetched beside it and renamed. A lock on a
//! file keeps two stacks that start at the same time from fetching twice.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Context, Error, Result};
use crate::journal::Step;
use crate::launch::Launcher;
use crate::tool::{self, Tool};
use crate::{Home, Journal};

/// The release of Kafka, and of Kafka Streams.
pub(crate) const KAFKA: &str = "4.3.1";
const SCALA: &str = "2.13";
/// Kafka logs through slf4j 1.7: this binding, and none for slf4j 2, brings its log to standard output.
const LOG4J: &str = "2.25.4";
/// The JSON library of the Kafka Streams program that the aggregator is measured against.
const JACKSON: &str = "2.21.2";
/// The AWS SDK of the Java program that the sink is measured against.
const AWS_SDK: &str = "2.57.8";
/// Without cbor2 it takes what the SDK sends to CloudWatch, and keeps nothing of it.
const MINISTACK: [&str; 2] = ["ministack==1.5.33", "cbor2==5.9.0"];
/// The fuzzer that reads OpenAPI, for a test.
const SCHEMATHESIS: [&str; 1] = ["schemathesis==4.32.5"];
/// 55 MB of jars or 90 MB of wheels over a slow line.
const FETCH_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Where the fetched things are.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `STACK_CACHE`, else `pageview-stack` in the user's cache folder.
    pub(crate) fn of_user() -> Cache {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let caches = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        let root = set("STACK_CACHE").or_else(|| Some(caches()?.join("pageview-stack")));
        Cache { root: root.unwrap_or_else(|| std::env::temp_dir().join("pageview-stack")) }
    }

    /// Kafka's jars and all they depend on: the folder for the class path.
    pub(crate) async fn kafka(&self, launcher: &Launcher, home: &Home, journal: &Journal) -> Result<PathBuf> {
        let (name, artifact) = (format!("kafka_{SCALA}-{KAFKA}"), format!("kafka_{SCALA}"));
        let jars = [
            Jar::new("org.apache.kafka", &artifact, KAFKA),
            Jar::new("org.apache.kafka", "kafka-tools", KAFKA),
            Jar::new("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J),
        ];
        self.jars(&name, &jars, launcher, home, journal).await
    }

    /// Kafka Streams of the same release, with all it depends on and a JSON library: the folder for the class path.
    pub(crate) async fn streams(
        &self,
        launcher: &Launcher,
        home: &Home,
        journal: &Journal,
    ) -> Result<PathBuf> {
        let jars = [
            Jar::new("org.apache.kafka", "kafka-streams", KAFKA),
            Jar::new("com.fasterxml.jackson.core", "jackson-databind", JACKSON),
            Jar::new("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J),
        ];
        self.jars(&format!("kafka-streams-{KAFKA}"), &jars, launcher, home, journal).await
    }

    /// Kafka's consumer of the same release and an S3 client, with all they depend on: the folder for the class path.
    pub(crate) async fn plain_sink(
        &self,
        launcher: &Launcher,
        home: &Home,
        journal: &Journal,
    ) -> Result<PathBuf> {
        let jars = [
            Jar::new("software.amazon.awssdk", "s3", AWS_SDK),
            Jar::new("software.amazon.awssdk", "url-connection-client", AWS_SDK),
            Jar::new("org.apache.kafka", "kafka-clients", KAFKA),
            Jar::new("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J),
        ];
        self.jars(&format!("plain-sink-{KAFKA}-{AWS_SDK}"), &jars, launcher, home, journal).await
    }

    /// What Maven resolves for `jars`, of which the first proves that the folder `name` is complete.
    async fn jars(
        &self,
        name: &str,
        jars: &[Jar<'_>],
        launcher: &Launcher,
        home: &Home,
        journal: &Journal,
    ) -> Result<PathBuf> {
        let entry = Entry {
            folder: self.root.join(name),
            proof: format!("libs/{}-{}.jar", jars[0].artifact, jars[0].version),
            title: format!("fetch {name}"),
        };
        let fetch = async |folder: &Path, step: &Step| {
            require("mvn", "it fetches Kafka", "maven")?;
            fs::write(folder.join("pom.xml"), pom(jars))
                .context(|| format!("cannot write to {}", folder.display()))?;
            let mut command = launcher.command("mvn");
            command.current_dir(folder).args(["-B", "dependency:copy-dependencies"]);
            command.args(["-DincludeScope=runtime", "-DoutputDirectory=libs"]);
            let log = home.log(&format!("fetch-{name}"));
            let mut files = 0;
            let tool = Tool { what: "fetching Kafka with Maven", log: &log, limit: FETCH_LIMIT };
            tool.run(command, |line| {
                if let Some(file) = downloaded(line) {
                    files += 1;
                    step.progress(format!("{files} files, {file}"));
                }
            })
            .await
        };
        Ok(self.get(&entry, journal, fetch).await?.join("libs"))
    }

    /// A Python environment with the AWS emulator: its interpreter.
    pub(crate) async fn ministack(
        &self,
        launcher: &Launcher,
        home: &Home,
        journal: &Journal,
    ) -> Result<PathBuf> {
        let purpose = "MiniStack (S3) runs on it";
        self.python(&MINISTACK, purpose, launcher, home, journal).await
    }

    /// A Python environment with the fuzzer that reads OpenAPI: its interpreter.
    pub(crate) async fn schemathesis(
        &self,
        launcher: &Launcher,
        home: &Home,
        journal: &Journal,
    ) -> Result<PathBuf> {
        let purpose = "Schemathesis, which a test needs, runs on it";
        self.python(&SCHEMATHESIS, purpose, launcher, home, journal).await
    }

    /// A Python environment with these packages from PyPI, the first of which it is for: its interpreter.
    async fn python(
        &self,
        packages: &[&str],
        purpose: &'static str,
        launcher: &Launcher,
        home: &Home,
        journal: &Journal,
    ) -> Result<PathBuf> {
        let name = packages.join("-").replace("==", "-");
        let entry = Entry {
            folder: self.root.join(&name),
            proof: "bin/python".into(),
            title: format!("fetch {}", packages.join(" ").replace("==", " ")),
        };
        let fetch = async |folder: &Path, step: &Step| {
            require("python3", purpose, "python3 python3-venv")?;
            let log = home.log(&format!("fetch-{name}"));
            let mut command = launcher.command("python3");
            command.args(["-m", "venv"]).arg(folder);
            let what = &format!("making a Python environment for {name} (Debian: it needs python3-venv)");
            Tool { what, log: &log, limit: FETCH_LIMIT }.run(command, |_| ()).await?;
            let mut command = launcher.command(folder.join("bin/python"));
            command.args(["-m", "pip", "install", "--progress-bar", "off", "--no-input"]);
            command.args(packages);
            let what = &format!("fetching {name} with pip");
            let tool = Tool { what, log: &log, limit: FETCH_LIMIT };
            tool.run(command, |line| step.progress(line)).await
        };
        Ok(self.get(&entry, journal, fetch).await?.join(&entry.proof))
    }

    async fn get(
        &self,
        entry: &Entry,
        journal: &Journal,
        fetch: impl AsyncFnOnce(&Path, &Step) -> Result<()>,
    ) -> Result<PathBuf> {
        if entry.is_complete() {
            return Ok(entry.folder.clone());
        }
        fs::create_dir_all(&self.root).context(|| format!("cannot create {}", self.root.display()))?;
        let step = journal.step(&entry.title);
        let _lock = self.lock(&entry.folder, &step).await?;
        if !entry.is_complete() {
            let fresh = with_suffix(&entry.folder, ".part");
            discard(&fresh)?;
            // An interpreter that has been upgraded away leaves an environment that is there but does not work.
            discard(&entry.folder)?;
            fs::create_dir(&fresh).context(|| format!("cannot create {}", fresh.display()))?;
            fetch(&fresh, &step).await?;
            fs::rename(&fresh, &entry.folder)
                .context(|| format!("cannot create {}", entry.folder.display()))?;
        }
        step.done(format!("in {}", entry.folder.display()));
        Ok(entry.folder.clone())
    }

    async fn lock(&self, folder: &Path, step: &Step) -> Result<File> {
        let path = with_suffix(folder, ".lock");
        let file = File::create(&path).context(|| format!("cannot create {}", path.display()))?;
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        step.progress("another stack is fetching it");
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        locked.map_err(std::io::Error::other).flatten().context(|| format!("cannot lock {}", path.display()))
    }
}

struct Entry {
    folder: PathBuf,
    /// A file that is there when the folder is complete.
    proof: String,
    title: String,
}

impl Entry {
    fn is_complete(&self) -> bool {
        self.folder.join(&self.proof).exists()
    }
}

fn with_suffix(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(folder);
    name.push(suffix);
    name.into()
}

fn discard(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
    .context(|| format!("cannot remove {}", folder.display()))
}

fn require(tool: &'static str, purpose: &'static str, package: &'static str) -> Result<()> {
    match tool::on_path(tool) {
        true => Ok(()),
        false => Err(Error::ToolMissing { tool, purpose, package }),
    }
}

/// The file of a line like `[INFO] Downloaded from central: https://.../re2j-1.8.jar (128 kB at 1 MB/s)`.
fn downloaded(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("Downloaded from")?;
    rest.split(" (").next()?.rsplit('/').next()
}

/// What is asked of Maven; it adds what that depends on.
struct Jar<'a> {
    group: &'a str,
    artifact: &'a str,
    version: &'a str,
}

impl<'a> Jar<'a> {
    const fn new(group: &'a str, artifact: &'a str, version: &'a str) -> Self {
        Self { group, artifact, version }
    }
}

fn pom(jars: &[Jar<'_>]) -> String {
    let dependency = |Jar { group, artifact, version }: &Jar<'_>| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
        )
    };
    let dependencies: String = jars.iter().map(dependency).collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>stack</groupId><artifactId>kafka</artifactId><version>1</version>\n  \
         <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maven_tells_its_progress() {
        let line = "[INFO] Downloaded from central: https://host/maven2/com/google/re2j/re2j/1.8/re2j-1.8.jar (128 kB at 1 MB/s)";
        assert_eq!(downloaded(line), Some("re2j-1.8.jar"));
        assert_eq!(downloaded("[INFO] BUILD SUCCESS"), None);
    }
}
