//! The threads that encode, shared by the writers: one a core. What a partition asks for comes one job at a time, so its
//! records keep their order whichever thread gets them.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::action::{Encoded, Job};
use crate::encode::Tools;

/// A job, and whom to tell.
type Work = (Job, Box<dyn FnOnce(Encoded) + Send>);

/// Cheap to clone. The threads end with the last of them.
#[derive(Debug, Clone)]
pub(crate) struct Encoders {
    work: Sender<Work>,
}

impl Encoders {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (work, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name("encoder".to_owned()).spawn(move || encode(&queue))?;
        }
        Ok(Self { work })
    }

    /// Has `job` done, and `done` told.
    pub(crate) fn give(&self, job: Job, done: impl FnOnce(Encoded) + Send + 'static) {
        // The threads live for as long as there is somebody to give them work.
        let _ = self.work.send((job, Box::new(done)));
    }
}

fn encode(queue: &Mutex<Receiver<Work>>) {
    let mut tools = Tools::new();
    loop {
        let work = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((job, done)) = work else { return };
        done(job.run(&mut tools));
    }
}
