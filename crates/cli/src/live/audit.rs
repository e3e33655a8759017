//! Audits again and again: one at a time, and for a tenth of the time at most.

use std::thread;
use std::time::Duration;

use service::Config;
use service::clock::monotonic;
use tokio::runtime::Builder;

use super::Eyes;
use super::picture::Seen;
use crate::audit::{Audited, Auditor};
use crate::progress::silently;

/// Before the first: the pipeline may be starting together with us.
const FIRST: Duration = Duration::from_secs(3);
/// After an audit that could not look.
const AGAIN: Duration = Duration::from_secs(10);
/// The pause is so many times as long as the audit took, at least: one that reads much is made less often.
const SHARE: u32 = 9;

/// Audits in a thread and a runtime of its own, for as long as `eyes` are open: it asks Kafka in calls that block, and
/// nobody waits for one of them when the process ends.
pub(super) fn start(config: Config, every: Duration, eyes: Eyes) {
    thread::spawn(move || {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(audit(config, every, eyes)),
            Err(error) => drop(eyes.send(Seen::Audited(Err(error.to_string())))),
        }
    });
}

async fn audit(config: Config, every: Duration, eyes: Eyes) {
    let mut auditor = None;
    pause(FIRST.min(every)).await;
    while eyes.send(Seen::AuditBegins).is_ok() {
        let began = monotonic();
        let found = silently(look(&config, &mut auditor)).await;
        let took = monotonic().duration_since(began);
        let wait = if found.is_ok() { every.max(took * SHARE) } else { every.min(AGAIN).max(took) };
        if found.is_err() {
            auditor = None;
        }
        let _ = eyes.send(Seen::Audited(found.map_err(|error| format!("{error:#}"))));
        pause(wait).await;
    }
}

async fn look(config: &Config, auditor: &mut Option<Auditor>) -> anyhow::Result<Audited> {
    let auditor = match auditor {
        Some(auditor) => auditor,
        None => auditor.insert(Auditor::connect(config).await?),
    };
    auditor.look().await
}

#[expect(clippy::disallowed_methods, reason = "paces work that nothing announces")]
async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}
