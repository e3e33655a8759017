//! What strangers send: each is answered as it deserves, and the process goes on, in little memory.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{README_EVENT, Wire, WireAnswer, options, peak_memory};
use flate2::Compression;
use flate2::write::GzEncoder;
use model::Pageview;
use stack::{Service, Stack};

/// The issue's bounds.
pub(crate) const MEMORY: u64 = 256 << 20;
const IDLE: usize = 10_000;
/// What the tests of this binary have open beside.
const OTHER_FILES: usize = 512;
/// Milliseconds, on a machine that has something else to do.
const QUICKLY: Duration = Duration::from_secs(5);

pub(crate) const SINGLE: &str = "/api/pageviews";
pub(crate) const BATCH: &str = "/api/pageviews/batch";
pub(crate) const EVENT: &str = r#"{"user_id":1,"postcode":"N1","webpage":"w","timestamp":1611662684}"#;
pub(crate) const MAX_BATCH: usize = 8 << 20;

#[tokio::test]
async fn strangers_are_answered_and_cost_little() -> Result<()> {
    let options = options("corpus")?.replicas(Service::Aggregator, 0).replicas(Service::S3Sink, 0);
    let stack = Stack::start(options).await?;
    let pid = stack.replica(Service::IngestApi, 1)?.pid();
    for (name, request, status) in bodies().into_iter().chain(heads()) {
        let answer = exchange(&stack, &request).await.with_context(|| format!("{name}: no answer"))?;
        ensure!(answer.status == status, "{name}: {answer:?}");
        let is_told = answer.status < 300 || answer.is_problem();
        // What is no HTTP is refused before anything of ours sees it.
        ensure!(is_told || answer.header("content-length") == Some("0"), "{name}: {answer:?}");
        good(&stack).await.with_context(|| format!("after {name}"))?;
    }
    pipelined(&stack).await?;
    smuggled(&stack).await?;
    idle(&stack).await?;
    ensure!(stack.replica(Service::IngestApi, 1)?.pid() == pid, "ingest-api was started again");
    let memory = peak_memory(&stack, Service::IngestApi, 1)?;
    println!("peak memory of ingest-api: {} MiB", memory >> 20);
    ensure!(memory < MEMORY, "ingest-api took {memory} bytes");
    stack.stop().await?;
    Ok(())
}

pub(crate) async fn exchange(stack: &Stack, request: &[u8]) -> Result<WireAnswer> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(request).await;
    wire.answer().await?.context("the connection was closed")
}

pub(crate) async fn good(stack: &Stack) -> Result<()> {
    let answer = exchange(stack, &post(SINGLE, &[], README_EVENT.as_bytes())).await?;
    ensure!(answer.status == 202, "a good event is not accepted: {answer:?}");
    Ok(())
}

pub(crate) fn head(path: &str, headers: &[&str]) -> String {
    let lines = headers.iter().fold(String::new(), |mut lines, header| {
        let _ = write!(lines, "{header}\r\n");
        lines
    });
    format!("POST {path} HTTP/1.1\r\nHost: api.example\r\n{lines}")
}

pub(crate) fn post(path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let json = [&["Content-Type: application/json"], headers].concat();
    let head = format!("{}Content-Length: {}\r\n\r\n", head(path, &json), body.len());
    [head.as_bytes(), body].concat()
}

/// The event with a field more.
fn with(field: &str) -> String {
    EVENT.replace('}', &format!(",{field}}}"))
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

/// An event of exactly `size` bytes.
fn sized(size: usize) -> String {
    with(&format!(r#""x":"{}""#, "x".repeat(size - with(r#""x":"""#).len())))
}

/// A batch of exactly `size` bytes.
pub(crate) fn batch_sized(size: usize) -> String {
    let full = vec![sized(60_000); 139].join(",");
    format!("[{full},{}]", sized(size - full.len() - 3))
}

type Case = (&'static str, Vec<u8>, u16);

fn bodies() -> Vec<Case> {
    let single = |name, body: &[u8], status| (name, post(SINGLE, &[], body), status);
    let changed =
        |name, from: &str, to: &str, status| single(name, EVENT.replace(from, to).as_bytes(), status);
    let batch = |name, body: &str, status| (name, post(BATCH, &[], body.as_bytes()), status);
    let coded = |name, coding: &str, body: &[u8], status| {
        (name, post(BATCH, &[&format!("Content-Encoding: {coding}")], body), status)
    };
    let keyed = |name, key: &str, status| {
        (name, post(SINGLE, &[&format!("Idempotency-Key: {key}")], EVENT.as_bytes()), status)
    };
    let one = format!("[{EVENT}]");
    let bomb = gzip(&vec![0; 100 << 20]);
    let zstd = |body: &[u8]| zstd::encode_all(body, 1).expect("a vector takes everything");
    let mut wide = zstd::stream::Encoder::new(Vec::new(), 1).expect("level 1 exists");
    wide.window_log(27).and_then(|()| wide.write_all(one.as_bytes())).expect("a window of 128 MiB exists");
    let wide = wide.finish().expect("a vector takes everything");
    let many = (0..1000).map(|n| format!(r#""f{n}":{n}"#)).collect::<Vec<_>>().join(",");
    let deep = format!(r#""x":{}{}"#, "[".repeat(10_000), "]".repeat(10_000));
    vec![
        single("a good event", EVENT.as_bytes(), 202),
        single("nothing", b"", 400),
        single("white space", b" \r\n\t ", 400),
        single("truncated", &EVENT.as_bytes()[..40], 400),
        single("two events", format!("{EVENT}{EVENT}").as_bytes(), 400),
        single("an array", one.as_bytes(), 400),
        single("a byte order mark", format!("\u{feff}{EVENT}").as_bytes(), 400),
        single("bytes that are not UTF-8", &[EVENT.as_bytes(), b"\xff"].concat(), 400),
        single(
            "bytes in a field that are not UTF-8",
            &[&EVENT.as_bytes()[..40], b"\xff", &EVENT.as_bytes()[40..]].concat(),
            400,
        ),
        changed("NaN", "1611662684", "NaN", 400),
        changed("Infinity", "1611662684", "-Infinity", 400),
        changed("a fraction", "1611662684", "1611662684.0", 400),
        changed("an exponent", "1611662684", "1e9", 400),
        changed("milliseconds", "1611662684", "1611662684000", 400),
        changed("the far future", "1611662684", "9999999999", 400),
        changed("the largest number", r#""user_id":1"#, r#""user_id":18446744073709551615"#, 202),
        changed("a larger number", r#""user_id":1"#, r#""user_id":18446744073709551616"#, 400),
        changed("minus zero", r#""user_id":1"#, r#""user_id":-0"#, 400),
        changed("a leading zero", r#""user_id":1"#, r#""user_id":01"#, 400),
        changed("a number as text", r#""user_id":1"#, r#""user_id":"1""#, 400),
        changed("a lone surrogate", r#""w""#, r#""\ud800""#, 400),
        changed("a pair of surrogates", r#""w""#, r#""\ud83d\ude00""#, 202),
        changed("a control character", r#""w""#, "\"\u{0}\"", 400),
        changed("a line break in a string", r#""w""#, "\"a\nb\"", 400),
        changed("line breaks between tokens", ",", ",\r\n", 202),
        changed("a known key twice", r#""user_id":1"#, r#""user_id":1,"user_id":1"#, 400),
        changed("a known key twice, once escaped", r#""user_id":1"#, r#""user_id":1,"user\u005fid":1"#, 400),
        single("an unknown key twice", with(r#""x":1,"x":2"#).as_bytes(), 202),
        single("a thousand fields", with(&many).as_bytes(), 202),
        single("a long key", with(&format!(r#""{}":1"#, "k".repeat(30_000))).as_bytes(), 202),
        single("ten thousand levels", with(&deep).as_bytes(), 202),
        single("the largest event", sized(Pageview::MAX_BYTES).as_bytes(), 202),
        single("a larger event", sized(Pageview::MAX_BYTES + 1).as_bytes(), 413),
        batch("an empty array", "[]", 400),
        batch("an object", EVENT, 400),
        batch("nested arrays", "[[]]", 400),
        batch("a trailing comma", &format!("[{EVENT},]"), 400),
        batch("the largest number of events", &format!("[{}]", vec![EVENT; 10_000].join(",")), 202),
        batch("one more", &format!("[{}]", vec![EVENT; 10_001].join(",")), 413),
        batch("the largest batch", &batch_sized(MAX_BATCH), 202),
        batch("a larger batch", &batch_sized(MAX_BATCH + 1), 413),
        batch("eight MiB of brackets", &"[".repeat(MAX_BATCH), 400),
        batch("four million zeros", &format!("[{}0]", "0,".repeat(4_000_000)), 413),
        coded("gzip", "gzip", &gzip(one.as_bytes()), 202),
        coded(
            "gzip of two members",
            "gzip",
            &[gzip(b"["), gzip(format!("{EVENT}]").as_bytes())].concat(),
            202,
        ),
        coded("gzip cut short", "gzip", &gzip(one.as_bytes())[..30], 400),
        coded("gzip and more", "gzip", &[&gzip(one.as_bytes())[..], b"more"].concat(), 400),
        coded("what is not gzip", "gzip", one.as_bytes(), 400),
        coded("a gzip bomb", "gzip", &bomb, 413),
        coded("zstd", "zstd", &zstd(one.as_bytes()), 202),
        coded("a zstd bomb", "zstd", &zstd(&vec![0; 100 << 20]), 413),
        coded("zstd with a window of 128 MiB", "zstd", &wide, 400),
        coded("what is not zstd", "zstd", one.as_bytes(), 400),
        coded("brotli", "br", one.as_bytes(), 415),
        coded("two codings", "gzip, gzip", &gzip(&gzip(one.as_bytes())), 415),
        keyed("a key", "\"9f2c\"", 202),
        keyed("a key of 50", &"k".repeat(50), 202),
        keyed("a key of 51", &"k".repeat(51), 400),
        keyed("an empty key", "\"\"", 400),
    ]
}

fn heads() -> Vec<Case> {
    let typed = |name, headers: &[&str], status| {
        let length = format!("Content-Length: {}", EVENT.len());
        let head = head(SINGLE, &[headers, &[length.as_str()]].concat());
        (name, format!("{head}\r\n{EVENT}").into_bytes(), status)
    };
    let raw = |name, request: &str, status| (name, request.as_bytes().to_vec(), status);
    let json = "Content-Type: application/json";
    let chunked = |name, chunks: &str, status| {
        let head = head(SINGLE, &[json, "Transfer-Encoding: chunked"]);
        (name, format!("{head}\r\n{chunks}").into_bytes(), status)
    };
    let huge = format!("X: {}", "x".repeat(200_000));
    let headers: Vec<String> = (0..1000).map(|n| format!("X-{n}: 1")).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    vec![
        typed("beacon", &["Content-Type: text/plain;charset=UTF-8"], 202),
        typed("XML", &["Content-Type: text/xml"], 415),
        typed("no type", &[], 415),
        typed("a header too large", &[json, &huge], 431),
        typed("a thousand headers", &[&[json], &headers[..]].concat(), 431),
        typed("two lengths", &[json, "Content-Length: 3"], 400),
        typed("Expect: 100-continue", &[json, "Expect: 100-continue"], 202),
        raw("no length", &format!("{}\r\n", head(SINGLE, &[json])), 400),
        raw(
            "a length that is no number",
            &format!("{}Content-Length: x\r\n\r\n", head(SINGLE, &[json])),
            400,
        ),
        raw("100 MB announced", &format!("{}Content-Length: 100000000\r\n\r\n", head(BATCH, &[json])), 413),
        chunked("chunks", &format!("{:x}\r\n{EVENT}\r\n0\r\n\r\n", EVENT.len()), 202),
        chunked("chunks of no size", "xyz\r\n", 400),
        chunked("chunks of 2^64", "fffffffffffffffff\r\n", 400),
        raw("another method", &format!("DELETE {SINGLE} HTTP/1.1\r\nHost: a\r\n\r\n"), 405),
        raw("another path", "GET /api/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        raw("a long path", &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(200_000)), 431),
        raw("garbage", "hello\r\n\r\n", 400),
        raw("a greeting of TLS", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\r\n\r\n", 400),
    ]
}

async fn pipelined(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    let requests = [post(SINGLE, &[], EVENT.as_bytes()), post(SINGLE, &[], b"{}"), post(BATCH, &[], b"[]")];
    wire.send(&requests.concat()).await;
    for status in [202, 400, 400] {
        let answer = wire.answer().await?.context("no answer")?;
        ensure!(answer.status == status, "{answer:?}");
    }
    Ok(())
}

/// Two ways to tell where a body ends: no second request may come to light (RFC 9112, section 6.3).
async fn smuggled(stack: &Stack) -> Result<()> {
    let mut wire = Wire::connect(stack).await?;
    let both = ["Content-Type: application/json", "Content-Length: 4", "Transfer-Encoding: chunked"];
    let hidden = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n{EVENT}");
    wire.send(format!("{}\r\n0\r\n\r\n{hidden}", head(SINGLE, &both)).as_bytes()).await;
    let answer = wire.answer().await?.context("no answer")?;
    ensure!(answer.status == 400, "{answer:?}");
    Ok(())
}

/// Connections that have asked once and say nothing more: others are served as if they were not there.
async fn idle(stack: &Stack) -> Result<()> {
    let files = usize::try_from(rlimit::increase_nofile_limit(u64::MAX)?)?;
    ensure!(files >= IDLE + OTHER_FILES, "this machine allows {files} open files: raise `ulimit -Hn`");
    let mut connections = Vec::new();
    for _ in 0..IDLE {
        let mut wire = Wire::connect(stack).await?;
        wire.send(b"GET /actuator/health/liveness HTTP/1.1\r\nHost: x\r\n\r\n").await;
        ensure!(wire.answer().await?.context("no answer")?.status == 200, "liveness is not answered");
        connections.push(wire);
    }
    tokio::time::timeout(QUICKLY, good(stack)).await.context("idle connections keep others waiting")?
}
