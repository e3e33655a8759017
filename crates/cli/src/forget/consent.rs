//! Asking before something is done that cannot be undone.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::verdict::Misused;

/// Whether there is anybody to ask.
///
/// # Errors
/// When there is no terminal, and what to do about it.
pub(super) fn possible() -> Result<(), Misused> {
    let words =
        "it asks before it erases, and there is no terminal to ask on: look with --dry-run, then give --yes";
    if io::stdin().is_terminal() { Ok(()) } else { Err(Misused(words.to_owned())) }
}

/// Asks `question` on the terminal; anything but `yes` is no.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn given(question: &str) -> io::Result<bool> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question} This cannot be undone. Type yes to go on: ")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
