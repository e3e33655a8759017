//! `pageviews generate`: load over HTTP, with a receipt for every answer.

mod events;
mod journal;
mod load;
mod pace;
mod tally;
mod timeline;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::HumanCount;
use reqwest::Url;
use service::{Shutdown, clock};
use tokio::task::JoinSet;

use crate::Verdict;
use crate::arguments::duration;
use crate::progress::Progress;
use crate::receipts::{Answer, IdSpace};
use crate::{output, signals};
use events::{Ids, Recipe};
use journal::Journal;
use load::Load;
use pace::Pace;
use tally::Tally;
use timeline::Timeline;

/// How often the progress is drawn.
const REDRAW: Duration = Duration::from_millis(200);

/// Send pageviews to ingest-api and report what became of them
///
/// Events are a function of --seed: the same seed sends the same users, postcodes, pages and ages in the same order,
/// only the times move with the clock. Each event has a user id of its own. No event is sent twice: after a 503 or a
/// broken connection the load goes on with new events, and those are counted as perhaps stored.
///
/// Ends with exit 1 if the API refused something, 2 if it accepted nothing. Ctrl-C ends a load early and in order.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where ingest-api is
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080", value_parser = http_url)]
    url: Url,
    /// Events a second; 0 is as fast as it goes
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rate: u64,
    /// How long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = some_time)]
    duration: Duration,
    /// Events a request; with 1 they go to the endpoint for single events
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
    /// Connections, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: u16,
    /// Different postcodes; the first are the most frequent
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    postcodes: u32,
    /// How far an event's timestamp may be behind the time it is sent
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    disorder: Duration,
    /// Send the pageviews of this long ago up to the last full minute, in their order, instead of those of now: their
    /// windows close one after the other, and the last once pipeline.window.idle_timeout has passed
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    history: Option<Duration>,
    /// Percentage of events that are 10 to 60 minutes old
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    late: f64,
    /// Decides what is sent; two loads on one pipeline need different seeds [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Give every event an event_id
    #[arg(long)]
    ids: bool,
    /// Send each request with an Idempotency-Key, and let a proxy in between send it again: it counts once, and the
    /// receipts allow for its copies in raw/
    #[arg(long, conflicts_with = "ids")]
    keys: bool,
    /// File to list in what was answered, for `pageviews audit --receipts`; must not exist
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// Report as JSON: how many requests and events ended how
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<Verdict> {
    let seed = options.seed.unwrap_or_else(|| rand::random::<u32>().into());
    let url = endpoint(options);
    let ids = match (options.ids, options.keys) {
        (true, _) => Ids::OfEvents,
        (_, true) => Ids::OfRequests,
        _ => Ids::None,
    };
    let recipe = Recipe::new(seed, options.postcodes as usize, options.disorder, options.late, ids);
    let pace = Pace::new(options.rate, options.batch, options.duration);
    let journal = Journal::create(options.receipts.as_deref(), IdSpace::of(seed), options.keys)?;
    let timeline = match options.history {
        Some(span) => Timeline::before(clock::now(), span, options.duration),
        None => Timeline::Now,
    };
    let shutdown = Shutdown::new();
    tokio::spawn(signals::request(shutdown.clone()));
    eprintln!("sending to {url} with --seed {seed}");
    let load = Arc::new(Load::new(url.clone(), recipe, timeline, pace, journal, shutdown)?);

    let tally = drive(&load, options).await?;
    let elapsed = load.elapsed();
    load.finish()?;
    if options.json {
        output::line(tally.json(seed, elapsed)?)?;
    } else {
        output::line(tally.report(elapsed))?;
    }
    if let Some(file) = options.receipts.as_ref().filter(|_| !options.json) {
        output::line(format!("receipts in {}", file.display()))?;
    }
    let accepted = tally.events(Answer::Accepted);
    if accepted == 0 {
        eprintln!("pageviews: nothing was accepted; is ingest-api at {url} (--url)?");
    }
    Ok(match tally.is_refused() {
        true => Verdict::Bad,
        false if accepted == 0 => Verdict::Unproven,
        false => Verdict::Good,
    })
}

/// Host and port without a scheme parse as a URL of the scheme `localhost`, say.
fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "write it as http://localhost:8080".to_owned())
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() { Err("must be more than nothing".to_owned()) } else { Ok(time) }
}

fn endpoint(options: &Options) -> Url {
    let mut url = options.url.clone();
    let path = if options.batch == 1 { "/api/pageviews" } else { "/api/pageviews/batch" };
    url.set_path(&format!("{}{path}", options.url.path().trim_end_matches('/')));
    url
}

/// Runs all connections to their end and shows how far they are.
async fn drive(load: &Arc<Load>, options: &Options) -> anyhow::Result<Tally> {
    let mut connections = JoinSet::new();
    for _ in 0..options.connections {
        let load = Arc::clone(load);
        connections.spawn(async move { load.connection().await });
    }
    let mut progress = Progress::new(u64::try_from(options.duration.as_millis())?);
    let mut redraw = tokio::time::interval(REDRAW);
    let mut tally = Tally::new()?;
    loop {
        tokio::select! {
            ended = connections.join_next() => match ended {
                Some(connection) => tally.add(connection??)?,
                None => return Ok(tally),
            },
            _ = redraw.tick() => {
                let (elapsed, accepted) = (load.elapsed(), load.accepted());
                let per_second = (accepted as f64 / elapsed.as_secs_f64()) as u64;
                progress.update(u64::try_from(elapsed.as_millis())?, || {
                    format!("{} accepted, {}/s", HumanCount(accepted), HumanCount(per_second))
                });
            }
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "write a number from 0 to 100".to_owned())?;
    if (0.0..=100.0).contains(&percent) {
        Ok(percent)
    } else {
        Err("write a number from 0 to 100".to_owned())
    }
}
