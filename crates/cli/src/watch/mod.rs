//! `pageviews watch`: the pipeline as it runs, on the terminal.

mod render;
mod screen;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use service::{Config, Shutdown};
use tokio::sync::watch::Receiver;

use crate::live::snapshot::{Level, Snapshot};
use crate::live::{self, Sources};
use crate::{Verdict, output, signals};
use screen::Screen;

/// Between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(5);
/// A single look takes so long: a rate needs two, and each system a moment to answer.
const LOOK: Duration = Duration::from_secs(7);
/// A single look waits so long for an audit that is going on.
const AUDIT: Duration = Duration::from_secs(30);

/// Show the pipeline as it runs, on the terminal
///
/// The same as `pageviews dashboard`. It is drawn in place; where standard output is no terminal, a line every five seconds.
/// Ctrl-C ends it. With --once: exit 0 if the pipeline works, 1 if something is degraded or lost, 2 if nothing answers.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Look for some seconds, show what there is, and end
    #[arg(long)]
    once: bool,
    /// As JSON, a snapshot a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: Sources,
}

pub(crate) async fn run(config: &Config, options: &Options) -> anyhow::Result<Verdict> {
    let shutdown = Shutdown::new();
    tokio::spawn(signals::request(shutdown.clone()));
    let mut snapshots = live::look(config, &options.sources).await;
    if options.once {
        return once(&mut snapshots, &shutdown, options.json).await;
    }
    if std::io::stdout().is_terminal() && !options.json {
        let mut screen = Screen::open()?;
        while next(&mut snapshots, &shutdown).await {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            screen.draw(|columns| render::screen(&snapshot, columns))?;
        }
        return Ok(Verdict::Good);
    }
    // The first look shows nothing yet.
    let mut lines = tokio::time::interval_at(tokio::time::Instant::now() + LINES, LINES);
    loop {
        tokio::select! {
            _ = lines.tick() => show(&snapshots.borrow(), options.json, false)?,
            () = shutdown.wait() => return Ok(Verdict::Good),
        }
    }
}

async fn once(
    snapshots: &mut Receiver<Arc<Snapshot>>,
    shutdown: &Shutdown,
    json: bool,
) -> anyhow::Result<Verdict> {
    let looked = async { while next(snapshots, shutdown).await {} };
    let _ = tokio::time::timeout(LOOK, looked).await;
    let audited = snapshots.wait_for(|snapshot| snapshot.audit.running.is_none() || shutdown.requested());
    let _ = tokio::time::timeout(AUDIT, audited).await;
    let snapshot = Arc::clone(&snapshots.borrow());
    show(&snapshot, json, true)?;
    Ok(match snapshot.verdict.level {
        Level::Working => Verdict::Good,
        Level::Degraded | Level::Lost => Verdict::Bad,
        Level::Looking | Level::Unreachable => Verdict::Unproven,
    })
}

/// Waits for the next snapshot; `false` when it is time to end.
async fn next(snapshots: &mut Receiver<Arc<Snapshot>>, shutdown: &Shutdown) -> bool {
    tokio::select! {
        changed = snapshots.changed() => changed.is_ok(),
        () = shutdown.wait() => false,
    }
}

fn show(snapshot: &Snapshot, json: bool, whole: bool) -> anyhow::Result<()> {
    match (json, whole) {
        (true, _) => output::line(serde_json::to_string(snapshot)?),
        (false, true) => output::line(render::screen(snapshot, usize::MAX).join("\n")),
        (false, false) => output::line(render::line(snapshot)),
    }
}
