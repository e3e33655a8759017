//! What `/proc` tells about processes and who holds a port. Linux only: elsewhere every answer is "unknown".

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The variable that every process of a stack carries in its environment, inherited by whatever it starts.
pub const MARK: &str = "STACK_MARK";

/// A process beyond doubt: the kernel gives a pid again, but never with the same start time in the same boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The process id.
    pub(crate) pid: u32,
    /// When it started, in clock ticks since boot.
    start_ticks: u64,
    boot: String,
}

impl Identity {
    /// The process that has this pid now.
    pub(crate) fn of(pid: u32) -> Option<Identity> {
        let stat = Stat::read(pid)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(Identity { pid, start_ticks: stat.start_ticks, boot: boot.trim().to_owned() })
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&self) -> bool {
        is_running(self.pid) && Identity::of(self.pid).as_ref() == Some(self)
    }
}

/// Whether a process with this pid runs, zombies aside: those have closed their ports and files.
pub(crate) fn is_running(pid: u32) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.is_running())
}

/// Whether no thread of this process runs any code after a SIGSTOP, as far as `/proc` tells. A thread in the kernel's
/// hands (state D) is not stopped yet.
pub(crate) fn stands_still(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    stats.filter_map(|stat| Stat::parse(&stat)).all(|stat| matches!(stat.state, 'T' | 'Z'))
}

struct Stat {
    state: char,
    threads: u32,
    start_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the program's name in brackets and may hold blanks and brackets itself (proc(5)).
    fn parse(stat: &str) -> Option<Stat> {
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let threads = fields.nth(16)?.parse().ok()?;
        Some(Stat { state, threads, start_ticks: fields.nth(1)?.parse().ok()? })
    }

    /// A killed process is a zombie as soon as its first thread has ended: its ports and files are closed when
    /// all have. Kafka has a hundred.
    fn is_running(&self) -> bool {
        self.state != 'Z' || self.threads > 1
    }
}

/// The processes that carry this mark, whoever their parent is by now. A recycled pid cannot: marks are random.
pub fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    pids()
        .filter(|pid| is_running(*pid))
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
        })
        .collect()
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Who listens on a TCP port: the program's name and its pid, as far as our user may know.
pub(crate) fn listener(port: u16) -> Option<(String, u32)> {
    let tables =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let socket = tables.iter().find_map(|table| listening_inode(table, port))?;
    let socket = format!("socket:[{socket}]");
    let pid = pids().find(|pid| has_open(*pid, &socket))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some((name.trim().to_owned(), pid))
}

fn has_open(pid: u32, target: &str) -> bool {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|link| link == Path::new(target)))
}

/// Finds the inode of the socket in state LISTEN (0A) on `port` in the text of `/proc/net/tcp`.
fn listening_inode(table: &str, port: u16) -> Option<&str> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = fields.get(3) == Some(&"0A") && fields.get(1)?.ends_with(&suffix);
        listens.then(|| fields.get(9).copied())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let line = "42 (a) b (c)) S 1 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.threads, stat.start_ticks), ('S', 1, 777));
    }

    #[test]
    fn a_zombie_runs_until_its_last_thread_has_ended() {
        let stat = |state, threads| Stat { state, threads, start_ticks: 0 };
        assert!(stat('S', 1).is_running() && stat('Z', 5).is_running());
        assert!(!stat('Z', 1).is_running());
    }

    #[test]
    fn only_listeners_hold_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000 0 0 111 1 0\n\
            1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 222 1 0\n";
        assert_eq!(listening_inode(table, 8080), Some("222"));
        assert_eq!(listening_inode(table, 8081), None);
    }

    #[test]
    fn we_are_who_we_are() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.is_running() && !stands_still(me.pid));
        assert!(!Identity { start_ticks: 1, ..me }.is_running());
    }

    #[test]
    fn a_listener_is_named() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, pid) = listener(socket.local_addr().unwrap().port()).unwrap();
        assert_eq!(pid, std::process::id());
    }
}
