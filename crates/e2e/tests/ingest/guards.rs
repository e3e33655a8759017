//! Who may post: API keys, CORS, the rate limit behind a proxy, TLS; each as an operator turns it on.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{README_EVENT, Wire, WireAnswer, eventually, metric_at, options};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use stack::{Options, Service, Stack};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Read again within a second, on a machine that has something else to do.
const REREAD: Duration = Duration::from_secs(15);

fn without_readers(name: &str) -> Result<Options> {
    Ok(options(name)?.replicas(Service::Aggregator, 0).replicas(Service::S3Sink, 0))
}

fn request(headers: &[&str]) -> Vec<u8> {
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let head = "POST /api/pageviews HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/json";
    format!("{head}\r\n{lines}Content-Length: {}\r\n\r\n{README_EVENT}", README_EVENT.len()).into_bytes()
}

async fn send(stack: &Stack, bytes: &[u8]) -> Result<WireAnswer> {
    let mut wire = Wire::connect(stack).await?;
    wire.send(bytes).await;
    wire.answer().await?.context("no answer")
}

#[tokio::test]
async fn keys_origins_and_rates_are_enforced_and_keys_change_without_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("keys");
    fs::write(&file, "# of the shop\nshop first-secret\n")?;
    let options = without_readers("guards")?
        .env("PAGEVIEW_INGEST__API_KEYS_FILE", file.to_str().context("a path")?)
        .env("PAGEVIEW_INGEST__CORS_ORIGINS", "https://shop.example")
        .env("PAGEVIEW_INGEST__RATE_LIMIT", "60/h")
        .env("PAGEVIEW_INGEST__TRUSTED_HOPS", "1");
    let stack = Stack::start(options).await?;
    let post = async |headers: &[&str]| send(&stack, &request(headers)).await;

    let without = post(&[]).await?;
    ensure!(without.status == 401 && without.is_problem(), "{without:?}");
    ensure!(without.header("www-authenticate") == Some("Bearer"), "{without:?}");
    ensure!(post(&["X-API-Key: wrong"]).await?.status == 401);
    ensure!(post(&["Authorization: Bearer first-secret"]).await?.status == 202);
    ensure!(post(&["X-API-Key: first-secret"]).await?.status == 202);
    ensure!(post(&["Authorization: Bearer proxy-token", "X-API-Key: first-secret"]).await?.status == 202);

    fs::write(&file, "shop second-secret\n")?;
    eventually("the new key is known", REREAD, async || {
        Ok((post(&["X-API-Key: second-secret"]).await?.status == 202).then_some(()))
    })
    .await?;
    ensure!(post(&["X-API-Key: first-secret"]).await?.status == 401, "the old key still works");

    let preflight = async |origin: &str| {
        let head =
            "OPTIONS /api/pageviews HTTP/1.1\r\nHost: api.example\r\nAccess-Control-Request-Method: POST";
        let headers = "Access-Control-Request-Headers: content-type,x-api-key,idempotency-key";
        send(&stack, format!("{head}\r\n{headers}\r\nOrigin: {origin}\r\n\r\n").as_bytes()).await
    };
    let allowed = preflight("https://shop.example").await?;
    ensure!(allowed.status == 200, "{allowed:?}");
    ensure!(allowed.header("access-control-allow-origin") == Some("https://shop.example"), "{allowed:?}");
    let foreign = preflight("https://evil.example").await?;
    ensure!(foreign.status == 400 && foreign.is_problem(), "{foreign:?}");
    ensure!(foreign.header("access-control-allow-origin").is_none(), "{foreign:?}");
    // A script of the shop can read why it was refused.
    let refused = post(&["Origin: https://shop.example"]).await?;
    ensure!(refused.status == 401, "{refused:?}");
    ensure!(refused.header("access-control-allow-origin") == Some("https://shop.example"), "{refused:?}");

    // One caller guesses keys until it has used up its requests; what it says of itself does not help it.
    let guess = async |from: &str| post(&[&format!("X-Forwarded-For: 6.6.6.6, {from}")]).await;
    for _ in 0..60 {
        ensure!(guess("192.0.2.1").await?.status == 401);
    }
    let over = guess("192.0.2.1").await?;
    ensure!(over.status == 429 && over.is_problem(), "{over:?}");
    let wait: u32 = over.header("retry-after").context("no Retry-After")?.parse()?;
    ensure!((1..=60).contains(&wait), "{over:?}");
    ensure!(guess("192.0.2.2").await?.status == 401, "another caller is refused");
    let with_key = post(&["X-Forwarded-For: 192.0.2.1", "X-API-Key: second-secret"]).await?;
    ensure!(with_key.status == 202, "a key's caller is refused for its address: {with_key:?}");
    stack.stop().await?;
    Ok(())
}

#[tokio::test]
async fn tls_is_spoken_a_renewed_certificate_is_taken_up_and_deaf_clients_are_given_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stack = Stack::start(without_readers("tls")?.replicas(Service::IngestApi, 0)).await?;
    let first = renew(folder.path())?;
    let Tls { mut child, port, management_url } = ingest_with_tls(&stack, folder.path())?;
    let answer = eventually("TLS is answered", Duration::from_secs(30), async || {
        let Ok(mut wire) = connect(port, &first).await else { return Ok(None) };
        wire.send(&request(&[])).await;
        Ok(wire.answer().await?.filter(|answer| answer.status == 202))
    })
    .await?;
    ensure!(answer.json["accepted"] == 1, "{answer:?}");

    let second = renew(folder.path())?;
    eventually("the renewed certificate is served", REREAD, async || Ok(connect(port, &second).await.ok()))
        .await?;
    ensure!(connect(port, &first).await.is_err(), "the old certificate is served too");

    // Whoever speaks plain HTTP by mistake is not left hanging.
    let mut plain = Wire::over(TcpStream::connect(("127.0.0.1", port)).await?);
    plain.send(&request(&[])).await;
    while !plain.is_closed().await? {}

    deaf(port, &second, &management_url).await?;
    child.kill().await?;
    stack.stop().await?;
    Ok(())
}

/// Clients that ask a number of times, for the last time with `close`, and never read. Some of the numbers are those whose
/// answers TLS holds back when the kernel takes no more: the process has then only to flush, and must not wait for ever.
async fn deaf(port: u16, trusted: &CertificateDer<'static>, management_url: &str) -> Result<()> {
    let mut clients = Vec::new();
    for number in (60..420).step_by(2) {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(64 * 1024)?;
        let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let mut wire = over_tls(stream, trusted).await?;
        let asks = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(number);
        let last = "GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        wire.send(format!("{asks}{last}").as_bytes()).await;
        clients.push(wire);
    }
    eventually("deaf clients are given up", Duration::from_secs(30), async || {
        let open = metric_at(management_url, "http_connections").await?;
        ensure!(open == 0, "{open} connections are open");
        Ok(Some(()))
    })
    .await?;
    let given_up = metric_at(management_url, "http_connections_given_up_total").await?;
    ensure!(given_up > 0, "the kernel takes all that was to be held back");
    Ok(())
}

/// Writes a new certificate and its key; a client trusts nothing else.
fn renew(folder: &Path) -> Result<CertificateDer<'static>> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(folder.join("key.pem"), signing_key.serialize_pem())?;
    fs::write(folder.join("cert.pem"), cert.pem())?;
    Ok(cert.der().clone())
}

struct Tls {
    child: Child,
    port: u16,
    management_url: String,
}

fn ingest_with_tls(stack: &Stack, folder: &Path) -> Result<Tls> {
    let [port, management_port] = free_ports()?;
    let child = Command::new(options("tls-binary")?.bin_dir.join("ingest-api"))
        .env_remove("PAGEVIEW_PROFILE")
        .env("PAGEVIEW_KAFKA__BOOTSTRAP_SERVERS", stack.kafka_bootstrap())
        .env("PAGEVIEW_SERVER__HOST", "127.0.0.1")
        .env("PAGEVIEW_SERVER__PORT", port.to_string())
        .env("PAGEVIEW_SERVER__MANAGEMENT_PORT", management_port.to_string())
        .env("PAGEVIEW_INGEST__KEEP_ALIVE", "2s")
        .env("PAGEVIEW_INGEST__TLS_CERT", folder.join("cert.pem"))
        .env("PAGEVIEW_INGEST__TLS_KEY", folder.join("key.pem"))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(Tls { child, port, management_url: format!("http://127.0.0.1:{management_port}") })
}

fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

async fn connect(port: u16, trusted: &CertificateDer<'static>) -> Result<Wire<TlsStream<TcpStream>>> {
    over_tls(TcpStream::connect(("127.0.0.1", port)).await?, trusted).await
}

async fn over_tls(
    stream: TcpStream,
    trusted: &CertificateDer<'static>,
) -> Result<Wire<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost")?;
    Ok(Wire::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}
