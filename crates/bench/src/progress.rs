//! Telling how far it is, on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use service::clock;

const INTERVAL: Duration = Duration::from_secs(5);

/// One piece of work.
pub(crate) struct Progress {
    title: String,
    total: u64,
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Progress {
    pub(crate) fn new(total: u64, title: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} %  {eta}");
            let bar = ProgressBar::new(total);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(title.to_owned())
        });
        Self { title: title.to_owned(), total, bar, next_line: clock::monotonic() }
    }

    /// `done` of the total are done.
    pub(crate) fn update(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if clock::monotonic() >= self.next_line {
            eprintln!("{} {} %", self.title, done.saturating_mul(100) / self.total.max(1));
            self.next_line = clock::monotonic() + INTERVAL;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
