//! Files that are read again when they change, without a restart: keys and certificates are renewed that way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::metrics;

/// Between two looks. Kubernetes swaps a link when a secret changes, and that takes it longer.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files that belong together, and what they mean.
pub(crate) struct Files<T> {
    /// The key of the configuration that names them.
    pub(crate) setting: &'static str,
    pub(crate) paths: Vec<PathBuf>,
    /// What their contents mean, or what is wrong with them, without a secret.
    pub(crate) parse: fn(&[Vec<u8>]) -> Result<T, String>,
}

/// What the files said when they were last read and well.
#[derive(Debug)]
pub(crate) struct Watched<T>(watch::Receiver<Arc<T>>);

impl<T> Watched<T> {
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }
}

impl<T: Send + Sync + 'static> Files<T> {
    /// Reads them once.
    ///
    /// # Errors
    /// Says which file is wrong, and how.
    pub(crate) fn read(&self) -> Result<T, String> {
        self.parse(&self.contents()?)
    }

    /// Reads them, and again for as long as somebody has what they say; `tell` hears of every version. One that is wrong
    /// changes nothing but a metric, and is logged once.
    ///
    /// # Errors
    /// When they are wrong from the start.
    pub(crate) fn watch(self, tell: fn(&T)) -> Result<Watched<T>, String> {
        let mut seen = self.contents();
        let value = self.parse(&seen.clone()?)?;
        tell(&value);
        metrics::reloaded(self.setting, true);
        let (sender, receiver) = watch::channel(Arc::new(value));
        tokio::spawn(async move {
            while !sender.is_closed() {
                pause().await;
                let now = self.contents();
                if now == seen {
                    continue;
                }
                let read = now.clone().and_then(|contents| self.parse(&contents));
                metrics::reloaded(self.setting, read.is_ok());
                match read {
                    Ok(value) => {
                        tracing::info!(setting = self.setting, "read again");
                        tell(&value);
                        sender.send_replace(Arc::new(value));
                    }
                    Err(error) => {
                        tracing::error!(setting = self.setting, error, "going on with what was read before");
                    }
                }
                seen = now;
            }
        });
        Ok(Watched(receiver))
    }

    fn parse(&self, contents: &[Vec<u8>]) -> Result<T, String> {
        (self.parse)(contents).map_err(|error| {
            let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
            format!("{} ({}): {error}", self.setting, paths.join(", "))
        })
    }

    fn contents(&self) -> Result<Vec<Vec<u8>>, String> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|error| format!("{} ({}): {error}", self.setting, path.display()))
        };
        self.paths.iter().map(read).collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "polls files, which announce nothing")]
async fn pause() {
    tokio::time::sleep(LOOK_EVERY).await;
}
