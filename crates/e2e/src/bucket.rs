//! A look into the bucket without any of our own code: as somebody with another S3 client sees it.

use std::io::{Read as _, Write as _};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use reqwest::header::HeaderMap;
use serde_json::Value;
use stack::Stack;

const BUCKET: &str = "pageview-data";

/// The keys below `prefix`.
///
/// # Errors
/// When S3 does not answer, or not with all keys.
pub async fn keys(stack: &Stack, prefix: &str) -> Result<Vec<String>> {
    let list = get(stack, &format!("?list-type=2&prefix={prefix}")).await?;
    let xml = String::from_utf8(list)?;
    ensure!(!xml.contains("<IsTruncated>true"), "more keys than one answer has: {xml}");
    let after = xml.split("<Key>").skip(1);
    Ok(after.filter_map(|rest| rest.split_once("</Key>")).map(|(key, _)| key.to_owned()).collect())
}

/// Every line of every object below `prefix`, unpacked.
///
/// # Errors
/// When an object cannot be read.
pub async fn byte_lines(stack: &Stack, prefix: &str) -> Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    for key in keys(stack, prefix).await? {
        let packed = get(stack, &format!("/{key}")).await?;
        let text = unpack(&packed).with_context(|| key.clone())?;
        lines
            .extend(text.split_inclusive(|byte| *byte == b'\n').map(|line| line.trim_ascii_end().to_owned()));
    }
    Ok(lines)
}

/// [`byte_lines`] of JSON.
///
/// # Errors
/// When an object cannot be read, or a line is no JSON.
pub async fn lines(stack: &Stack, prefix: &str) -> Result<Vec<Value>> {
    let lines = byte_lines(stack, prefix).await?;
    let parse = |line: Vec<u8>| {
        serde_json::from_slice(&line).with_context(|| String::from_utf8_lossy(&line).into_owned())
    };
    lines.into_iter().map(parse).collect()
}

/// Writes an object.
///
/// # Errors
/// When S3 refuses.
pub async fn put(stack: &Stack, key: &str, body: &'static str) -> Result<()> {
    reqwest::Client::new().put(url(stack, &format!("/{key}"))).body(body).send().await?.error_for_status()?;
    Ok(())
}

/// An object as it lies there: its bytes, and the metadata that somebody who writes it again keeps.
#[derive(Debug, Clone)]
pub struct Stored {
    body: Vec<u8>,
    metadata: HeaderMap,
}

impl Stored {
    /// What its metadata says under `name`.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.get(format!("x-amz-meta-{name}"))?.to_str().ok()
    }

    /// The same object, with other text in its gzip file.
    ///
    /// # Errors
    /// When it is no gzip file.
    pub fn with_text(&self, change: impl FnOnce(&mut Vec<u8>)) -> Result<Self> {
        let mut text = unpack(&self.body)?;
        change(&mut text);
        let mut file = GzEncoder::new(Vec::new(), Compression::fast());
        file.write_all(&text)?;
        Ok(Self { body: file.finish()?, ..self.clone() })
    }
}

/// The object `key`.
///
/// # Errors
/// When S3 does not have it.
pub async fn fetch(stack: &Stack, key: &str) -> Result<Stored> {
    let response = reqwest::get(url(stack, &format!("/{key}"))).await?.error_for_status()?;
    let metadata = response.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"));
    let metadata = metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(Stored { body: response.bytes().await?.into(), metadata })
}

/// Writes the object `key` over what is there.
///
/// # Errors
/// When S3 refuses.
pub async fn store(stack: &Stack, key: &str, object: &Stored) -> Result<()> {
    let request = reqwest::Client::new().put(url(stack, &format!("/{key}")));
    let request = request.headers(object.metadata.clone()).body(object.body.clone());
    request.send().await?.error_for_status()?;
    Ok(())
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    MultiGzDecoder::new(packed).read_to_end(&mut text)?;
    Ok(text)
}

/// Deletes an object.
///
/// # Errors
/// When S3 refuses.
pub async fn delete(stack: &Stack, key: &str) -> Result<()> {
    reqwest::Client::new().delete(url(stack, &format!("/{key}"))).send().await?.error_for_status()?;
    Ok(())
}

/// Makes the bucket `name`, in the region where everybody looks for it.
///
/// # Errors
/// When S3 refuses.
pub async fn create_bucket(stack: &Stack, name: &str) -> Result<()> {
    let region = "<CreateBucketConfiguration><LocationConstraint>eu-west-2</LocationConstraint></CreateBucketConfiguration>";
    let request = reqwest::Client::new().put(format!("{}/{name}", stack.s3_endpoint())).body(region);
    request.send().await?.error_for_status()?;
    Ok(())
}

async fn get(stack: &Stack, path: &str) -> Result<Vec<u8>> {
    let response = reqwest::get(url(stack, path)).await?.error_for_status()?;
    Ok(response.bytes().await?.into())
}

/// The emulator asks for no credentials.
fn url(stack: &Stack, path: &str) -> String {
    format!("{}/{BUCKET}{path}", stack.s3_endpoint())
}
