//! Shows progress: one line a step, moving on a terminal and plain elsewhere.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stack::Event;

/// A progress line is cut here: the line must stay one line.
const WIDTH: usize = 90;
/// In a log file, a step that takes long says so this often.
const EVERY: Duration = Duration::from_secs(10);

pub(crate) struct Screen {
    bars: MultiProgress,
    steps: HashMap<String, Step>,
    is_terminal: bool,
}

struct Step {
    bar: ProgressBar,
    shown: Duration,
}

impl Screen {
    pub(crate) fn new() -> Screen {
        let is_terminal = std::io::stderr().is_terminal();
        Screen { bars: MultiProgress::new(), steps: HashMap::new(), is_terminal }
    }

    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Began { step } => self.begin(step),
            Event::Progress { step, text } => self.progress(step, text),
            Event::Done { step, text, took } => self.done(step, text, *took),
            Event::Said { text } => self.line(text),
        }
    }

    fn begin(&mut self, name: &str) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:<22} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        self.steps.insert(name.to_owned(), Step { bar, shown: Duration::ZERO });
    }

    fn progress(&mut self, name: &str, text: &str) {
        let Some(step) = self.steps.get_mut(name) else { return };
        let text: String = text.chars().take(WIDTH).collect();
        let elapsed = step.bar.elapsed();
        if !self.is_terminal && elapsed >= step.shown + EVERY {
            step.shown = elapsed;
            self.line(&format!("  {name:<22} {text}"));
        } else if self.is_terminal {
            step.bar.set_message(text);
        }
    }

    fn done(&mut self, name: &str, text: &str, took: Duration) {
        if let Some(step) = self.steps.remove(name) {
            step.bar.finish_and_clear();
        }
        self.line(&format!("✔ {name:<22} {text} ({:.1} s)", took.as_secs_f64()));
    }

    fn line(&self, text: &str) {
        match self.is_terminal {
            true => drop(self.bars.println(text)),
            false => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// Takes away what moves: steps that have not come to an end.
    pub(crate) fn close(self) {
        for step in self.steps.values() {
            step.bar.finish_and_clear();
        }
    }
}
