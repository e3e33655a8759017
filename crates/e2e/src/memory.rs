//! How much memory a replica has taken, as the kernel counts it.

use anyhow::{Context, Result};
use stack::{Service, Stack};

/// The most memory that the process of a replica has had since its start, in bytes (`VmHWM`).
///
/// # Errors
/// When it does not run.
pub fn peak_memory(stack: &Stack, service: Service, number: u16) -> Result<u64> {
    let replica = stack.replica(service, number)?;
    let pid = replica.pid().with_context(|| format!("{} does not run", replica.name()))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    peak(&status).with_context(|| format!("no VmHWM in {status}"))
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_in_kib() {
        assert_eq!(peak("Name:\ts3-sink\nVmHWM:\t   65536 kB\nVmRSS:\t  1 kB\n"), Some(64 << 20));
        assert_eq!(peak("VmRSS:\t  1 kB\n"), None);
    }
}
