//! What ingest-api is measured against, each in a process of its own, with the allocator that the services have.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::web::{Bytes, Data, Json, JsonConfig, PayloadConfig};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use futures::future::join_all;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{
    BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _, ProducerContext,
};
use serde::{Deserialize, Serialize};
use service::clock;

use crate::arena::{Arena, LIMIT};
use crate::arguments::{RivalArguments, RivalKind, SPAN};
use crate::child::Child;
use crate::events::{Recipe, postcodes};
use crate::usage::Usage;

/// The most bytes of a body.
const MAX_BODY: usize = 8 << 20;
/// Different events that the loop sends in turn.
const EVENTS: u64 = 65_536;

/// Produces `events` events as fast as a loop can, from the first acknowledgement to the last.
pub(super) async fn produce(arena: &Arena, topic: &str, events: u64) -> anyhow::Result<Usage> {
    let mut command = arena.command("bench");
    command.args(["rival", "bare", &arena.bootstrap(), topic, "0", &events.to_string()]);
    let mut child = Child::start(command, &arena.log(topic)).await?;
    let first = child.says("first", LIMIT).await?;
    let done = child.says("done", LIMIT).await?;
    let usage = first.until(&done, events)?;
    child.kill().await?;
    Ok(usage)
}

/// The process itself.
pub(crate) async fn rival(arguments: &RivalArguments) -> anyhow::Result<()> {
    match arguments.kind {
        RivalKind::Bare => bare(arguments),
        RivalKind::Actix => actix(arguments).await,
        RivalKind::Naive => naive(arguments).await,
    }
}

/// The delivery that the services ask for.
fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", model::topic::PARTITIONER)
        .set("compression.type", "lz4")
        .set("linger.ms", "1");
    config
}

struct Count(Arc<AtomicU64>);

impl ClientContext for Count {}
impl ProducerContext for Count {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() && self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            println!("first");
        }
    }
}

/// A loop around rdkafka's `send`, bounded by librdkafka's own queue.
fn bare(arguments: &RivalArguments) -> anyhow::Result<()> {
    let delivered = Arc::new(AtomicU64::new(0));
    let producer: BaseProducer<Count> =
        client(&arguments.bootstrap).create_with_context(Count(Arc::clone(&delivered)))?;
    let recipe = Recipe {
        seed: 1,
        events: EVENTS,
        postcodes: postcodes(2000),
        start: clock::now(),
        span: SPAN,
        disorder: 10,
    };
    let events: Vec<(usize, Vec<u8>)> = (0..EVENTS)
        .map(|index| {
            let (event, mut json) = (recipe.event(index), Vec::new());
            recipe.write(&event, &mut json);
            (event.postcode, json)
        })
        .collect();
    for index in 0..arguments.events {
        let (postcode, value) = &events[(index % EVENTS) as usize];
        let mut record =
            BaseRecord::to(&arguments.topic).key(recipe.postcodes[*postcode].as_str()).payload(value);
        while let Err((error, back)) = producer.send(record) {
            let is_full = matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            anyhow::ensure!(is_full, "cannot produce: {error}");
            producer.poll(Duration::from_millis(1));
            record = back;
        }
        if index % 1000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(LIMIT)?;
    anyhow::ensure!(delivered.load(Ordering::Relaxed) == arguments.events, "not everything was delivered");
    println!("done");
    std::io::stdin().lines().for_each(drop);
    Ok(())
}

/// Reads the body and says that it was accepted: what HTTP alone costs.
async fn actix(arguments: &RivalArguments) -> anyhow::Result<()> {
    let accept = async |body: Bytes| {
        // Not looked at, but read.
        let accepted = usize::from(!body.is_empty());
        HttpResponse::Accepted()
            .content_type("application/json")
            .body(format!(r#"{{"accepted":{accepted}}}"#))
    };
    HttpServer::new(move || {
        App::new()
            .app_data(PayloadConfig::new(MAX_BODY))
            .route("/api/pageviews", web::post().to(accept))
            .route("/api/pageviews/batch", web::post().to(accept))
            .route("/actuator/health/readiness", web::get().to(HttpResponse::Ok))
    })
    .bind(("127.0.0.1", arguments.port))
    .context("cannot listen")?
    .run()
    .await
    .context("cannot serve")
}

#[derive(Deserialize, Serialize)]
struct Event {
    user_id: u64,
    postcode: String,
    webpage: String,
    timestamp: i64,
}

#[derive(Clone)]
struct Naive {
    producer: FutureProducer,
    topic: String,
}

/// What one writes first: a typed extractor, and a future for every event.
async fn naive(arguments: &RivalArguments) -> anyhow::Result<()> {
    let state = Naive { producer: client(&arguments.bootstrap).create()?, topic: arguments.topic.clone() };
    let single = async |event: Json<Event>, state: Data<Naive>| state.accept(&[event.into_inner()]).await;
    let batch = async |events: Json<Vec<Event>>, state: Data<Naive>| state.accept(&events).await;
    HttpServer::new(move || {
        App::new()
            .app_data(JsonConfig::default().limit(MAX_BODY))
            .app_data(Data::new(state.clone()))
            .route("/api/pageviews", web::post().to(single))
            .route("/api/pageviews/batch", web::post().to(batch))
            .route("/actuator/health/readiness", web::get().to(HttpResponse::Ok))
    })
    .bind(("127.0.0.1", arguments.port))
    .context("cannot listen")?
    .run()
    .await
    .context("cannot serve")
}

impl Naive {
    async fn accept(&self, events: &[Event]) -> HttpResponse {
        let valid = |event: &Event| !event.postcode.is_empty() && !event.webpage.is_empty();
        if !events.iter().all(valid) {
            return HttpResponse::BadRequest().finish();
        }
        let send = async |event: &Event| {
            let Ok(value) = serde_json::to_vec(event) else { return false };
            let record = FutureRecord::to(&self.topic).key(&event.postcode).payload(&value);
            self.producer.send(record, Duration::from_secs(5)).await.is_ok()
        };
        if join_all(events.iter().map(send)).await.into_iter().all(|stored| stored) {
            HttpResponse::Accepted().json(serde_json::json!({ "accepted": events.len() }))
        } else {
            HttpResponse::ServiceUnavailable().finish()
        }
    }
}
