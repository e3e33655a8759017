//! Finds a Java that Kafka 4 runs on.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::launch::{self, Launcher};

const OLDEST: u32 = 17;

/// The `java` of `JAVA_HOME`, else the one on the path, provided that it is new enough.
pub(crate) async fn find(launcher: &Launcher) -> Result<PathBuf> {
    let java = match std::env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => Path::new(&home).join("bin/java"),
        _ => PathBuf::from("java"),
    };
    let missing = |found: String| Error::Java { found };
    let mut command = launcher.command(&java);
    command.arg("-version").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    let child = launch::spawn(command).await;
    let child = child.map_err(|error| missing(format!("{} does not start ({error})", java.display())))?;
    let output = child.wait_with_output().await;
    let output = output.map_err(|error| missing(format!("{} does not answer ({error})", java.display())))?;
    let text = String::from_utf8_lossy(&output.stderr);
    match major_version(&text) {
        Some(version) if version >= OLDEST => Ok(java),
        Some(version) => Err(missing(format!("{} is version {version}", java.display()))),
        None => Err(missing(format!("{} does not tell its version", java.display()))),
    }
}

/// Reads `openjdk version "17.0.15" 2025-04-15` as 17, and `java version "1.8.0_392"` as 8.
fn major_version(text: &str) -> Option<u32> {
    let version = text.lines().find_map(|line| line.split_once(" version \"")?.1.split('"').next())?;
    let mut parts = version.split(['.', '-', '+']);
    match parts.next()?.parse().ok()? {
        1 => parts.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let of = |version: &str| {
            major_version(&format!("Picked up X\nopenjdk version \"{version}\" 2025-04-15\n"))
        };
        assert_eq!(of("17.0.15"), Some(17));
        assert_eq!(of("1.8.0_392"), Some(8));
        assert_eq!(of("25-ea"), Some(25));
        assert_eq!(major_version("bash: java: command not found"), None);
    }
}
