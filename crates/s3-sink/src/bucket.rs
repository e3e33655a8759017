//! The bucket: one attempt a call, with a timeout, and errors that say what to do. The CLI reads through it too.

mod change;

use std::collections::HashMap;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ServerSideEncryption, StorageClass};
use bytes::Bytes;
use service::Config;

use crate::forgotten::FORGOTTEN;
use crate::protocol::CHECKSUM;
use crate::store::{Created, Head, NewObject};

pub use change::{Replaced, Version};

/// How long an attempt may take, its body left out.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The slowest upload that is waited for at first, in bytes a second.
const SLOWEST: u64 = 1 << 20;
/// How often that patience is doubled at most: sixteen times as long is twenty minutes for the largest object.
const DOUBLINGS: u32 = 4;

/// One bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
    /// Comes before every key: `epoch=1/`, or nothing.
    root: String,
    endpoint: String,
    storage_class: Option<StorageClass>,
    sse: Option<ServerSideEncryption>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} {bucket}/{key} ({endpoint}): {detail}")]
pub struct Error {
    /// What kind of failure: a label of metrics.
    pub kind: Kind,
    /// Whether it was given up when its time was over: it may have been answered with more of it.
    pub timed_out: bool,
    operation: &'static str,
    bucket: String,
    key: String,
    endpoint: String,
    detail: String,
}

impl Error {
    /// What is wrong with the bucket, without the key that was asked for: the same for every call of an outage.
    #[must_use]
    pub fn outage(&self) -> String {
        format!("{} ({}): {}", self.bucket, self.endpoint, self.detail)
    }
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such bucket in the region.
    NoBucket,
    /// The credentials are missing, wrong, or may not do this.
    Denied,
    /// S3 asks to come back later: 5xx, `SlowDown`, or a conditional request that met another one.
    Busy,
    /// Nothing answered in time.
    Unreachable,
    /// Something else.
    Other,
}

/// An object in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::NoBucket, Self::Denied, Self::Busy, Self::Unreachable, Self::Other];

    /// The label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoBucket => "no_bucket",
            Self::Denied => "denied",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
            Self::Other => "other",
        }
    }
}

impl Bucket {
    /// A client for the bucket of the configuration, and there for the tree of its `sink.epoch`: every key here, and in
    /// the ledger, is relative to that. Nothing is sent yet; the credentials come from the SDK's default chain. The SDK
    /// does not retry: whoever calls knows better how long to. What is written gets the storage class and encryption of
    /// the configuration.
    pub async fn connect(Config { aws, sink, .. }: &Config) -> Self {
        let mut config = aws_sdk_s3::config::Builder::from(&service::aws::shared(aws).await)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeout(patience(0, 0)));
        if let Some(endpoint) = &aws.endpoint_override {
            // Emulators have no DNS name for each bucket.
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        Self {
            client: Client::from_conf(config.build()),
            name: aws.bucket.clone(),
            root: sink.epoch.map_or_else(String::new, |epoch| format!("epoch={epoch}/")),
            endpoint: aws.endpoint_override.clone().unwrap_or_else(|| format!("AWS, {}", aws.region)),
            storage_class: sink.storage_class.as_deref().map(StorageClass::from),
            sse: sink.sse.as_deref().map(ServerSideEncryption::from),
        }
    }

    /// Whether the bucket exists and may be used.
    ///
    /// # Errors
    /// [`Error`] says why not.
    pub async fn check(&self) -> Result<(), Error> {
        match self.client.head_bucket().bucket(&self.name).send().await {
            Ok(_) => Ok(()),
            // HEAD has no body that would say which 404 it is.
            Err(error) if status(&error) == Some(404) => Err(self.no_bucket("HEAD")),
            Err(error) => Err(self.error("HEAD", "", error)),
        }
    }

    /// Writes `object` unless its key is taken. Each of the `timeouts` attempts before this one that timed out doubles
    /// its patience: over a slow link an attempt that always gets the same time never ends.
    ///
    /// # Errors
    /// [`Error`]; the object may have been created all the same.
    pub async fn create(&self, object: &NewObject, timeouts: u32) -> Result<Created, Error> {
        let mut put = self.put(&object.key, object.content_type, object.body.clone()).if_none_match("*");
        for (name, value) in &object.metadata {
            put = put.metadata(*name, value);
        }
        let patience = patient(object.body.len() as u64, timeouts);
        match put.customize().config_override(patience).send().await {
            Ok(_) => Ok(Created::New),
            Err(error) if status(&error) == Some(412) => Ok(Created::Taken),
            Err(error) => Err(self.error("PUT", &object.key, error)),
        }
    }

    /// Reads a whole object; `None` if there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Error> {
        Ok(self.version(key).await?.map(|version| version.body))
    }

    /// Reads a whole object and what it says it holds; `None` if there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get_with_head(&self, key: &str) -> Result<Option<(Head, Bytes)>, Error> {
        let told = |version: Version| {
            let size = i64::try_from(version.body.len()).ok();
            (head(Some(&version.metadata), size), version.body)
        };
        Ok(self.version(key).await?.map(told))
    }

    /// What the object under `key` says it holds; `None` if there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn head(&self, key: &str) -> Result<Option<Head>, Error> {
        match self.client.head_object().bucket(&self.name).key(self.at(key)).send().await {
            Ok(object) => Ok(Some(head(object.metadata(), object.content_length()))),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.error("HEAD", key, error)),
        }
    }

    /// All objects whose keys begin with `prefix`, ascending; only those greater than `after`, if given.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Listed>, Error> {
        let mut listed = Vec::new();
        let request = self.client.list_objects_v2().bucket(&self.name).prefix(self.at(prefix));
        let mut pages = request.set_start_after(after.map(|after| self.at(after))).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.error("LIST", prefix, error))?;
            listed.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| {
                let size = object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                Some(Listed { key: object.key?.strip_prefix(&self.root)?.to_owned(), size })
            }));
        }
        Ok(listed)
    }

    /// A PUT with the storage class and encryption of the configuration.
    fn put(&self, key: &str, content_type: &str, body: Bytes) -> PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&self.name)
            .key(self.at(key))
            // CRC64NVME would do as well, but emulators compute it in Python: three seconds for 5 MB.
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .content_type(content_type)
            .set_storage_class(self.storage_class.clone())
            .set_server_side_encryption(self.sse.clone())
            .body(ByteStream::from(body))
    }

    fn url(&self) -> String {
        format!("s3://{}/{}", self.name, self.root).trim_end_matches('/').to_owned()
    }

    fn at(&self, key: &str) -> String {
        format!("{}{key}", self.root)
    }

    fn error<E>(&self, operation: &'static str, key: &str, error: SdkError<E>) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let code = error.code().unwrap_or_default().to_owned();
        match (status(&error), code.as_str()) {
            (_, "NoSuchBucket") => self.no_bucket(operation),
            (Some(301), _) => {
                let detail = "301: the bucket is in another region: set aws.region".to_owned();
                self.failed(Kind::NoBucket, operation, key, detail)
            }
            (Some(status @ (401 | 403)), _) => {
                let detail =
                    format!("{status} {code}: check the credentials and what they may do in this bucket");
                self.failed(Kind::Denied, operation, key, detail)
            }
            (Some(status @ (409 | 429 | 500..=599)), _) => {
                self.failed(Kind::Busy, operation, key, format!("{status} {code}"))
            }
            (Some(status), _) => {
                let message = error.message().unwrap_or_default();
                self.failed(Kind::Other, operation, key, format!("{status} {code} {message}"))
            }
            (None, _) => {
                let timed_out = matches!(error, SdkError::TimeoutError(_));
                let kind = match &error {
                    SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Kind::Unreachable,
                    SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                        Kind::Unreachable
                    }
                    _ => Kind::Other,
                };
                Error { timed_out, ..self.failed(kind, operation, key, chain(&error)) }
            }
        }
    }

    fn no_bucket(&self, operation: &'static str) -> Error {
        let name = &self.name;
        let detail =
            format!("there is no such bucket: `terraform apply` or `aws s3 mb s3://{name}` makes it");
        self.failed(Kind::NoBucket, operation, "", detail)
    }

    fn failed(&self, kind: Kind, operation: &'static str, key: &str, detail: String) -> Error {
        let bucket = self.url();
        let (key, endpoint) = (key.to_owned(), self.endpoint.clone());
        Error { kind, timed_out: false, operation, bucket, key, endpoint, detail }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.url(), self.endpoint)
    }
}

/// The SDK's errors say what happened only in their causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = vec![error.to_string()];
    words.extend(successors(error.source(), |error| error.source()).map(ToString::to_string));
    words.dedup();
    words.join(": ")
}

fn head(metadata: Option<&HashMap<String, String>>, length: Option<i64>) -> Head {
    let checksum = metadata.and_then(|metadata| metadata.get(CHECKSUM)?.parse().ok());
    let forgotten = metadata.and_then(|metadata| metadata.get(FORGOTTEN).cloned());
    Head { size: length.and_then(|size| u64::try_from(size).ok()).unwrap_or(0), checksum, forgotten }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// The patience of an attempt that sends `bytes`, after so many that timed out.
fn patience(bytes: u64, timeouts: u32) -> Duration {
    (TIMEOUT + Duration::from_secs(bytes / SLOWEST)) * (1 << timeouts.min(DOUBLINGS))
}

/// The settings of such an attempt.
fn patient(bytes: u64, timeouts: u32) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(timeout(patience(bytes, timeouts)))
}

fn timeout(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt)
        .build()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What an attempt says that nothing answered.
    pub(crate) fn unanswered(timed_out: bool) -> Error {
        let [bucket, key, endpoint, detail] =
            ["s3://b", "raw/a", "AWS", "nothing answered"].map(str::to_owned);
        Error { kind: Kind::Unreachable, timed_out, operation: "PUT", bucket, key, endpoint, detail }
    }

    #[test]
    fn an_outage_is_told_without_the_key_and_an_error_with_it() {
        let error = unanswered(true);
        assert_eq!(error.outage(), "s3://b (AWS): nothing answered");
        assert_eq!(error.to_string(), "PUT s3://b/raw/a (AWS): nothing answered");
    }

    #[test]
    fn patience_doubles_with_each_timeout_up_to_a_cap() {
        let seconds = |bytes, timeouts| patience(bytes, timeouts).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 99].map(|timeouts| seconds(0, timeouts)),
            [10, 20, 40, 80, 160, 160, 160]
        );
        assert_eq!((seconds(64 << 20, 0), seconds(64 << 20, 4)), (74, 1184));
    }
}
