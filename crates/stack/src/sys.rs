//! The calls to libc, and the only unsafe code of this crate.
//!
//! Contract: nothing here touches memory. Signals are sent to ids that the caller got from a child it has not
//! reaped, or from `/proc` a moment before; the hooks run between fork and exec and therefore use only
//! async-signal-safe calls, on values that were copied in before the fork.
#![allow(unsafe_code, reason = "kill, prctl and setsid have no safe wrapper in std")]

use std::io;

use tokio::process::Command;

/// A signal that the stack sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `SIGTERM`: stop in order.
    Term,
    /// `SIGKILL`: what `kill -9` sends.
    Kill,
    /// `SIGSTOP`: freeze, as a long pause of the machine would.
    Stop,
    /// `SIGCONT`: go on after [`Signal::Stop`].
    Cont,
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Signal::Term => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Cont => libc::SIGCONT,
        }
    }
}

/// Sends a signal to one process.
pub(crate) fn send(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: kill takes two integers. A pid above zero names one process, never a group or everybody.
    match unsafe { libc::kill(pid, signal.number()) } {
        0 if pid > 0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a signal to a process group, whose id is the pid of its first process.
pub(crate) fn send_to_group(group: u32, signal: Signal) -> io::Result<()> {
    let group = libc::pid_t::try_from(group).map_err(io::Error::other)?;
    // SAFETY: killpg takes two integers. Groups 0 and 1 (our own, everybody's) are refused before the call.
    match group > 1 && unsafe { libc::killpg(group, signal.number()) } == 0 {
        true => Ok(()),
        false => Err(io::Error::last_os_error()),
    }
}

/// Has the kernel kill the child with SIGKILL when the *thread* that starts it ends, however it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        // SAFETY: prctl, getppid and _exit are async-signal-safe; the closure owns one integer.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have died before prctl: then nobody will tell.
                if u32::try_from(libc::getppid()) != Ok(parent) {
                    libc::_exit(1);
                }
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// Starts the child in a session of its own: no terminal's hang-up or Ctrl-C reaches it.
pub(crate) fn own_session(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: setsid is async-signal-safe and takes nothing.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}
