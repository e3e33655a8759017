//! Applies `terraform/environments/local` to the emulator.
//!
//! Terraform runs in a copy of the configuration inside the stack's folder, so that its lock file, its working
//! data and its state are never in the tree.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use crate::environment;
use crate::error::{Context, Error, Result};
use crate::launch::{self, Launcher};
use crate::tool::{self, Tool};
use crate::{Home, Ports};

/// The provider is 160 MB where it has to be downloaded.
const INIT_LIMIT: Duration = Duration::from_secs(300);
const APPLY_LIMIT: Duration = Duration::from_secs(300);
/// The environment, and the modules that it is made of.
const FOLDERS: [&str; 4] = ["environments/local", "modules/storage", "modules/monitoring", "modules/catalog"];

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    /// The same configuration was applied before, and the emulator kept it.
    Unchanged,
    /// Terraform or its provider cannot be had here; the text says which and why.
    OutOfReach(String),
}

/// Terraform in one stack.
pub(crate) struct Terraform<'a> {
    pub(crate) repo: &'a Path,
    pub(crate) home: &'a Home,
    pub(crate) ports: &'a Ports,
    pub(crate) launcher: &'a Launcher,
}

impl Terraform<'_> {
    /// Applies the configuration, unless the emulator has it already.
    pub(crate) async fn apply(&self, mut progress: impl FnMut(&str)) -> Result<Outcome> {
        if !tool::on_path("terraform") {
            return Ok(Outcome::OutOfReach("terraform is not installed".into()));
        }
        let fingerprint = self.copy_configuration()?;
        if read(&self.applied()) == fingerprint {
            return Ok(Outcome::Unchanged);
        }
        if let Err(reason) = self.init(&fingerprint, &mut progress).await? {
            return Ok(Outcome::OutOfReach(reason));
        }
        let mut command = self.command();
        command.args(["apply", "-auto-approve", "-input=false", "-no-color", "-compact-warnings"]);
        let log = self.home.log("terraform-apply");
        let tool = Tool { what: "terraform apply", log: &log, limit: APPLY_LIMIT };
        tool.run(command, |line| progress(line)).await?;
        write(&self.applied(), &fingerprint)?;
        Ok(Outcome::Applied)
    }

    /// Runs terraform with these arguments to its end, in the environment as it would be applied.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let fingerprint = self.copy_configuration()?;
        if let Err(reason) = self.init(&fingerprint, &mut |_: &str| ()).await? {
            return Err(Error::Tool {
                what: "terraform init".into(),
                reason,
                log: self.home.log("terraform-init"),
            });
        }
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = launch::spawn(command).await.context(|| "cannot start terraform".into())?;
        child.wait_with_output().await.context(|| "cannot wait for terraform".into())
    }

    /// Has the next [`Terraform::apply`] do its work: the emulator may have lost the buckets' settings.
    pub(crate) fn forget_applied(home: &Home) {
        // What is not there need not be forgotten.
        let _ = fs::remove_file(home.terraform().join("applied"));
    }

    /// The inner result is the reason why there is no provider.
    async fn init(
        &self,
        fingerprint: &str,
        progress: &mut impl FnMut(&str),
    ) -> Result<std::result::Result<(), String>> {
        let stamp = self.home.terraform().join("initialised");
        if read(&stamp) == fingerprint && self.home.terraform().join("data/providers").exists() {
            return Ok(Ok(()));
        }
        let mut command = self.command();
        command.args(["init", "-input=false", "-no-color", "-upgrade"]);
        if let Some(mirror) = provider_mirror() {
            let mut argument = std::ffi::OsString::from("-plugin-dir=");
            argument.push(mirror);
            command.arg(argument);
        }
        let log = self.home.log("terraform-init");
        let tool = Tool { what: "terraform init", log: &log, limit: INIT_LIMIT };
        match tool.run(command, |line| progress(line)).await {
            Ok(()) => write(&stamp, fingerprint).map(Ok),
            Err(Error::Tool { reason, log, .. }) => {
                Ok(Err(format!("terraform cannot get its provider: {reason} (see {})", log.display())))
            }
            Err(error) => Err(error),
        }
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = self.launcher.command("terraform");
        command.current_dir(self.copy().join("environments/local"));
        command.env("TF_DATA_DIR", self.home.terraform().join("data")).env("TF_IN_AUTOMATION", "1");
        command.env("CHECKPOINT_DISABLE", "1").env_remove("TF_WORKSPACE");
        command.env("TF_VAR_endpoint", environment::s3_endpoint(self.ports));
        // A variable that names a file which is not there is worth a warning in every line of output.
        if std::env::var_os("TF_CLI_CONFIG_FILE").is_some_and(|file| !Path::new(&file).exists()) {
            command.env_remove("TF_CLI_CONFIG_FILE");
        }
        command
    }

    fn copy(&self) -> PathBuf {
        self.home.terraform().join("configuration")
    }

    /// Holds the fingerprint of the configuration that the emulator has.
    fn applied(&self) -> PathBuf {
        self.home.terraform().join("applied")
    }

    /// Brings the copy up to date, and returns a fingerprint of it, of the endpoint, and of variables that the caller has set.
    fn copy_configuration(&self) -> Result<String> {
        let source = self.repo.join("terraform");
        let mut hasher = DefaultHasher::new();
        environment::s3_endpoint(self.ports).hash(&mut hasher);
        for variable in ["TF_VAR_monitoring", "TF_VAR_catalog"] {
            std::env::var_os(variable).hash(&mut hasher);
        }
        for folder in FOLDERS {
            let (from, to) = (source.join(folder), self.copy().join(folder));
            fs::create_dir_all(&to).context(|| format!("cannot create {}", to.display()))?;
            let names = configuration_files(&from)?;
            for gone in configuration_files(&to)?.iter().filter(|name| !names.contains(name)) {
                fs::remove_file(to.join(gone)).context(|| format!("cannot remove {gone}"))?;
            }
            for name in names {
                let (from, to) = (from.join(&name), to.join(&name));
                let text = fs::read(&from).context(|| format!("cannot read {}", from.display()))?;
                fs::write(&to, &text).context(|| format!("cannot write {}", to.display()))?;
                (name, text).hash(&mut hasher);
            }
        }
        Ok(format!("{:016x}", hasher.finish()))
    }
}

fn configuration_files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".tf")).collect();
    names.sort();
    Ok(names)
}

/// A folder of unpacked providers: `STACK_TERRAFORM_PLUGINS`, else one of the places that people put them.
fn provider_mirror() -> Option<PathBuf> {
    if let Some(set) = std::env::var_os("STACK_TERRAFORM_PLUGINS").filter(|set| !set.is_empty()) {
        return Some(set.into());
    }
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let usual = [
        home.join(".terraform.d/plugins"),
        home.join(".local/share/terraform/plugins"),
        "/usr/local/share/terraform/plugins".into(),
        "/usr/share/terraform/plugins".into(),
    ];
    let optional = fs::read_dir("/opt").into_iter().flatten().flatten().map(|entry| entry.path());
    usual
        .into_iter()
        .chain(optional)
        .find(|folder| folder.join("registry.terraform.io/hashicorp/aws").is_dir())
}

fn read(stamp: &Path) -> String {
    fs::read_to_string(stamp).unwrap_or_default()
}

fn write(stamp: &Path, text: &str) -> Result<()> {
    fs::write(stamp, text).context(|| format!("cannot write {}", stamp.display()))
}
