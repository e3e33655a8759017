//! Requests that stand still until the test says go: so that it can kill their sender between two steps of a protocol.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long S3 may take for one request that was let go.
const ANSWER: Duration = Duration::from_secs(20);

/// Where on its way a request stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before S3 hears of it.
    Before,
    /// When S3 has done what it asks for, and its sender does not know.
    After,
}

/// Holds requests as they come.
#[derive(Debug)]
pub struct Hold {
    arriving: mpsc::UnboundedReceiver<One>,
    held: Vec<One>,
}

/// Requests that are held. Dropped, their connections are reset.
#[derive(Debug)]
pub struct Held(Vec<One>);

/// Where the proxy hands them over.
pub(super) type Holder = mpsc::UnboundedSender<One>;

/// A request that is held.
#[derive(Debug)]
pub(super) struct One {
    key: String,
    go: oneshot::Sender<()>,
    answered: oneshot::Receiver<u16>,
}

/// The proxy's end of a request that is held.
pub(super) struct Gate {
    go: oneshot::Receiver<()>,
    answered: oneshot::Sender<u16>,
}

pub(super) fn channel() -> (Hold, Holder) {
    let (holder, arriving) = mpsc::unbounded_channel();
    (Hold { arriving, held: Vec::new() }, holder)
}

impl Hold {
    /// Waits until at least one request is held, and tells its key.
    ///
    /// # Errors
    /// When none comes within this time.
    pub async fn reached(&mut self, within: Duration) -> Result<String> {
        let held = timeout(within, self.arriving.recv()).await.ok().flatten();
        let held = held.with_context(|| format!("no such request came within {within:?}"))?;
        let key = held.key.clone();
        self.held.push(held);
        Ok(key)
    }

    /// Holds what it holds, and no more.
    #[must_use]
    pub fn close(mut self) -> Held {
        self.arriving.close();
        while let Ok(held) = self.arriving.try_recv() {
            self.held.push(held);
        }
        Held(self.held)
    }
}

impl Held {
    /// What was asked for.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.0.iter().map(|one| one.key.clone()).collect()
    }

    /// Lets them go, one after the other: what S3 has answered to which key, whoever may still wait for it.
    ///
    /// # Errors
    /// When S3 does not answer.
    pub async fn let_go(self) -> Result<Vec<(String, u16)>> {
        let mut answers = Vec::new();
        for One { key, go, answered } in self.0 {
            // The proxy waits for it as long as we live.
            let _ = go.send(());
            let status = timeout(ANSWER, answered).await;
            let status = status.ok().and_then(Result::ok).with_context(|| format!("no answer to {key}"))?;
            answers.push((key, status));
        }
        Ok(answers)
    }
}

impl Gate {
    /// Hands a request for `key` to `holder`. `None` when nobody holds any more.
    pub(super) fn shut(key: &str, holder: &Holder) -> Option<Self> {
        let ((go, gone), (answered, answer)) = (oneshot::channel(), oneshot::channel());
        holder.send(One { key: key.to_owned(), go, answered: answer }).ok()?;
        Some(Self { go: gone, answered })
    }

    /// Returns once it may go on; `None` when the test has dropped it.
    pub(super) async fn open(&mut self) -> Option<()> {
        (&mut self.go).await.ok()
    }

    /// Tells the test what S3 has answered.
    pub(super) fn tell(self, status: u16) {
        // It may not care.
        let _ = self.answered.send(status);
    }
}
