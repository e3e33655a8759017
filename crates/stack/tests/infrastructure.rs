//! Kafka and S3 for real, without our services.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use stack::{Options, Service, Stack, marked};

fn infrastructure(name: &str) -> Options {
    let mut options = Options::test(name).unwrap();
    options.replicas.clear();
    options.topics = false;
    options
}

async fn put(stack: &Stack, key: &str, value: &'static str) {
    let url = format!("{}/pageview-data/{key}", stack.s3_endpoint());
    let answer = reqwest::Client::new().put(url).body(value).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}

async fn get(stack: &Stack, key: &str) -> String {
    let url = format!("{}/pageview-data/{key}", stack.s3_endpoint());
    reqwest::get(url).await.unwrap().error_for_status().unwrap().text().await.unwrap()
}

fn is_open(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test]
async fn comes_back_after_kill_9_and_leaves_nothing() {
    let options = infrastructure("infrastructure");
    let folder = options.home.clone();
    let stack = Stack::start(options).await.unwrap();
    let (kafka, s3) = (stack.ports().first_broker(), stack.ports().s3);
    let mark = stack.mark().to_owned();
    assert_eq!(marked(&mark).len(), 2);
    put(&stack, "before", "kept").await;

    let before = stack.kafka().pid();
    stack.kafka().kill_9().await.unwrap();
    stack.s3().kill_9().await.unwrap();
    stack.kafka().ready().await.unwrap();
    stack.s3().ready().await.unwrap();
    assert_ne!(stack.kafka().pid(), before);
    assert_eq!((stack.kafka().crashes(), stack.s3().crashes()), (1, 1));
    assert_eq!(get(&stack, "before").await, "kept");
    let location = get(&stack, "?location").await;
    assert!(location.contains("eu-west-2"), "clients would be sent to another region: {location}");

    stack.kafka().stop().await;
    assert!(!is_open(kafka) && is_open(s3));
    stack.kafka().start().await;
    stack.kafka().ready().await.unwrap();

    stack.stop().await.unwrap();
    assert!(!is_open(kafka) && !is_open(s3));
    assert_eq!(marked(&mark), Vec::<u32>::new());
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_dropped_stack_leaves_its_logs_and_nothing_else() {
    let options = infrastructure("dropped");
    let folder = options.home.clone();
    let stack = Stack::start(options).await.unwrap();
    let mark = stack.mark().to_owned();
    assert!(stack.replica(Service::Aggregator, 1).is_err());
    drop(stack);
    assert_eq!(marked(&mark), Vec::<u32>::new());
    assert!(folder.join("logs/kafka.log").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_service_that_never_gets_ready_is_told_with_its_last_words() {
    let bins = tempfile::tempdir().unwrap();
    let service = bins.path().join("s3-sink");
    std::fs::write(&service, "#!/bin/sh\necho unknown key sink.rwa\nexit 64\n").unwrap();
    std::fs::set_permissions(&service, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut options = infrastructure("exit-64").replicas(Service::S3Sink, 1);
    options.bin_dir = bins.path().to_owned();
    options.ready_within = Duration::from_secs(60);
    let folder = options.home.clone();
    let error = Stack::start(options).await.err().unwrap().to_string();
    assert!(error.contains("configuration is wrong") && error.contains("unknown key sink.rwa"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}
