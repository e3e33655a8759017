//! A terminal that is drawn over and over, and given back as it was.

use std::io::{Write as _, stdout};

use anyhow::Context as _;
use console::Term;

/// The alternate screen and no cursor; and back.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";

/// The terminal on standard output. It is given back when this is dropped.
pub(super) struct Screen {
    terminal: Term,
    /// What was drawn last: it is left on the terminal in the end.
    last: Vec<String>,
}

impl Screen {
    pub(super) fn open() -> anyhow::Result<Self> {
        write(OPEN)?;
        Ok(Self { terminal: Term::stdout(), last: Vec::new() })
    }

    /// Draws what `lines` makes of so many columns, as far as it fits.
    pub(super) fn draw(&mut self, lines: impl FnOnce(usize) -> Vec<String>) -> anyhow::Result<()> {
        let (rows, columns) = self.terminal.size();
        self.last = lines(columns.into());
        let shown = self.last.iter().take(rows.into()).map(|line| format!("{line}\x1b[K"));
        // Over what is there, line by line: nothing flickers.
        write(&format!("\x1b[H{}\x1b[J", shown.collect::<Vec<_>>().join("\r\n")))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = write(&format!("{CLOSE}{}\n", self.last.join("\n")));
    }
}

fn write(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}
