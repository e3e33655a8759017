//! The process behind `make up`: keeps a stack running and does what is asked over the control socket.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::board::Board;
use crate::control::{self, Reply, Request};
use crate::error::{Context, Error, Result};
use crate::procfs::Identity;
use crate::{Home, Journal, Options, Stack, Status};

/// Who supervises a folder, and what its processes carry. Kept in the folder while the supervisor runs, and
/// found there by the next command when the supervisor was killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) supervisor: Identity,
    pub(crate) mark: String,
}

impl Record {
    pub(crate) fn read(home: &Home) -> Option<Record> {
        serde_json::from_str(&fs::read_to_string(home.supervisor()).ok()?).ok()
    }
}

/// A request, and where its replies go.
type Order = (Request, UnboundedSender<Reply>);

/// Starts the stack and keeps it until it is told to stop. The start is reported as JSON lines of [`Reply`] on
/// standard output, the last of which is `Done` or `Failed`.
pub async fn run(options: Options, mark: String) -> Result<()> {
    let home = Home::at(&options.home)?;
    home.create()?;
    let started = match take_over(&home, &mark) {
        Ok(lock) => supervise(options, mark, &home).await.inspect(|()| drop(lock)),
        Err(error) => Err(error),
    };
    if let Err(error) = &started {
        report(&Reply::failed(error));
    }
    started
}

/// One supervisor a folder: the lock is the proof, the record is for others to read.
fn take_over(home: &Home, mark: &str) -> Result<File> {
    let path = home.lock();
    let lock = File::create(&path).context(|| format!("cannot create {}", path.display()))?;
    lock.try_lock().map_err(|_| Error::AlreadyRunning(home.root().to_owned()))?;
    let supervisor = Identity::of(std::process::id());
    if let Some(supervisor) = supervisor {
        let record = serde_json::to_string(&Record { supervisor, mark: mark.to_owned() });
        let written =
            record.map_err(std::io::Error::other).and_then(|text| fs::write(home.supervisor(), text));
        written.context(|| format!("cannot write {}", home.supervisor().display()))?;
    }
    Ok(lock)
}

async fn supervise(options: Options, mark: String, home: &Home) -> Result<()> {
    let journal = Journal::open(&home.log("supervisor"))?;
    journal.say(format!("supervisor of {}, pid {}", home.root().display(), std::process::id()));
    journal.watch(Some(Box::new(|event| report(&Reply::Event(event.clone())))));
    let board = Board::default();
    let is_up = Arc::new(AtomicBool::new(false));
    let (orders, mut queue) = unbounded_channel();
    let (downs, mut down) = unbounded_channel();
    let desk = Desk { board: board.clone(), is_up: Arc::clone(&is_up), orders, downs: downs.clone() };
    tokio::spawn(desk.serve(control::listen(home)?));
    tokio::spawn(signalled(downs)?);

    let start = Stack::start_as(options, &mark, board, journal.clone());
    let stack = tokio::select! {
        stack = start => stack,
        Some(asked_by) = down.recv() => {
            // The unfinished start was dropped, and its processes with it.
            journal.say("told to stop before the start was over");
            leave(home, &asked_by);
            return Err(Error::Supervisor { error: "stopped before it was up".into(), exit: 1 });
        }
    };
    // `up` gets the error from the last reply.
    journal.watch(None);
    let mut stack = stack.inspect_err(|error| {
        journal.say(error);
        leave(home, &unbounded_channel().0);
    })?;
    is_up.store(true, Ordering::Relaxed);
    report(&Reply::Done);

    let asked_by = attend(&mut stack, &journal, &mut queue, &mut down).await;
    is_up.store(false, Ordering::Relaxed);
    watch_for(&journal, &asked_by);
    let stopped = stack.stop().await;
    leave(home, &asked_by);
    // The answer to `down` is on its way when all senders are gone: the tasks that write it hold the receivers.
    journal.watch(None);
    asked_by.closed().await;
    stopped
}

/// Does one order after the other, until told to stop; what it is doing then is dropped.
async fn attend(
    stack: &mut Stack,
    journal: &Journal,
    orders: &mut UnboundedReceiver<Order>,
    down: &mut UnboundedReceiver<UnboundedSender<Reply>>,
) -> UnboundedSender<Reply> {
    let work = async {
        while let Some((request, asked_by)) = orders.recv().await {
            watch_for(journal, &asked_by);
            let reply = perform(stack, journal, &request).await;
            journal.watch(None);
            let _ = asked_by.send(reply.map_or_else(|error| Reply::failed(&error), |()| Reply::Done));
        }
    };
    tokio::select! {
        () = work => unbounded_channel().0,
        asked_by = down.recv() => asked_by.unwrap_or_else(|| unbounded_channel().0),
    }
}

async fn perform(stack: &mut Stack, journal: &Journal, request: &Request) -> Result<()> {
    match request {
        Request::Scale { service, replicas } => {
            let step = journal.step(format!("scale {service}"));
            stack.scale(*service, *replicas).await?;
            step.done(format!("{replicas} ready"));
        }
        Request::Restart { service } => {
            let step = journal.step(format!("restart {service}"));
            stack.restart(*service).await?;
            step.done("ready");
        }
        // Answered at the desk.
        Request::Status | Request::Down => {}
    }
    Ok(())
}

fn watch_for(journal: &Journal, asked_by: &UnboundedSender<Reply>) {
    let asked_by = asked_by.clone();
    journal.watch(Some(Box::new(move |event| {
        // Whoever asked may have gone; the work goes on.
        let _ = asked_by.send(Reply::Event(event.clone()));
    })));
}

fn leave(home: &Home, asked_by: &UnboundedSender<Reply>) {
    control::remove(home);
    let _ = fs::remove_file(home.supervisor());
    let _ = asked_by.send(Reply::Done);
}

/// To whoever started us; it may be gone.
fn report(reply: &Reply) {
    if let Ok(line) = serde_json::to_string(reply) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

/// SIGTERM and SIGINT stop everything in order, like `down`.
fn signalled(downs: UnboundedSender<UnboundedSender<Reply>>) -> Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).context(|| "cannot listen for signals".into());
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = downs.send(unbounded_channel().0);
    })
}

/// Where requests come in.
struct Desk {
    board: Board,
    is_up: Arc<AtomicBool>,
    orders: UnboundedSender<Order>,
    downs: UnboundedSender<UnboundedSender<Reply>>,
}

impl Desk {
    async fn serve(self, listener: UnixListener) {
        let desk = Arc::new(self);
        while let Ok((stream, _)) = listener.accept().await {
            let desk = Arc::clone(&desk);
            tokio::spawn(async move {
                // A client that goes away in the middle is no matter.
                let _ = desk.answer(stream).await;
            });
        }
    }

    async fn answer(&self, stream: UnixStream) -> std::io::Result<()> {
        let (mut requests, mut replies) = control::framed(stream);
        let Some(line) = requests.next_line().await? else { return Ok(()) };
        let (to_client, mut from_work) = unbounded_channel();
        match serde_json::from_str(&line) {
            Ok(Request::Status) => {
                let status =
                    Status { started: self.is_up.load(Ordering::Relaxed), rows: self.board.rows().await };
                let _ = to_client.send(Reply::Status(status));
            }
            Ok(Request::Down) => drop(self.downs.send(to_client)),
            Ok(request) if self.is_up.load(Ordering::Relaxed) => drop(self.orders.send((request, to_client))),
            Ok(_) => drop(to_client.send(Reply::Failed { error: "the stack is not up yet".into(), exit: 1 })),
            Err(error) => drop(to_client.send(Reply::Failed { error: error.to_string(), exit: 64 })),
        }
        while let Some(reply) = from_work.recv().await {
            control::write_line(&mut replies, &reply).await?;
            if !matches!(reply, Reply::Event(_)) {
                break;
            }
        }
        Ok(())
    }
}
