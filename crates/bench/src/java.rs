//! A program in Java, compiled here.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::arena::Arena;

/// A class with a `main`.
pub(crate) struct Program<'a> {
    arena: &'a Arena,
    class: &'static str,
    class_path: OsString,
    folder: PathBuf,
}

impl<'a> Program<'a> {
    /// Compiles `source`, which is the file of `class`, with the jars of the folder `jars`.
    pub(crate) async fn compile(
        arena: &'a Arena,
        class: &'static str,
        source: &str,
        jars: &Path,
    ) -> anyhow::Result<Self> {
        let jars = jars.join("*");
        let folder = arena.broker.home().root().join(class);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let file = folder.join(format!("{class}.java"));
        fs::write(&file, source).with_context(|| format!("cannot write {}", file.display()))?;
        let mut compile = Command::new(arena.broker.java().with_file_name("javac"));
        compile.arg("-cp").arg(&jars).arg("-d").arg(&folder).arg(&file);
        let output = compile.output().await;
        let output = output.with_context(|| {
            format!(
                "javac does not start, which compiles {class}: install a JDK (Debian: openjdk-17-jdk-headless), or leave \
                 that program out with --only"
            )
        })?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{class} does not compile: {words}");
        let mut class_path = OsString::from(&folder);
        class_path.push(":");
        class_path.push(jars);
        Ok(Self { arena, class, class_path, folder })
    }

    /// A folder that goes when the benchmark does.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command that runs it, with these options for the virtual machine; its arguments are still to be added.
    pub(crate) fn command(&self, options: &[&str]) -> Command {
        let mut command = self.arena.broker.command(self.arena.broker.java());
        // Native libraries are unpacked there, and left when it is killed.
        let mut temporary = OsString::from("-Djava.io.tmpdir=");
        temporary.push(&self.folder);
        command.args(options).arg(temporary).arg("-cp").arg(&self.class_path).arg(self.class);
        command
    }
}
