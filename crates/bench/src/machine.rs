//! What it was measured on: a figure says nothing without.

use std::fs;
use std::path::Path;
use std::thread;

use stack::Broker;
use tokio::process::Command;

/// Processor, kernel, Java and Kafka in one line.
pub(crate) async fn describe(java: &Path) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    // `java -version` answers on standard error.
    let java =
        Command::new(java).arg("-version").output().await.map(|output| output.stderr).unwrap_or_default();
    format!(
        "{cores} cores of {}, Linux {}, {}, Kafka {}; load before: {}",
        field(&cpu, "model name"),
        kernel.trim(),
        String::from_utf8_lossy(&java).lines().next().unwrap_or("unknown Java"),
        Broker::KAFKA,
        load.split(' ').next().unwrap_or("unknown"),
    )
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
    value.map_or("an unknown processor", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        let text = "processor\t: 0\nmodel name\t: Fast(R) One\nprocessor\t: 1\nmodel name\t: Fast(R) Two\n";
        assert_eq!(field(text, "model name"), "Fast(R) One");
        assert_eq!(field("", "model name"), "an unknown processor");
    }
}
