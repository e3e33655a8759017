//! The object store as the protocol needs it: four calls, each of which returns once its answer is certain.

use std::future::Future;

use bytes::Bytes;

use crate::checksum::Checksum;

/// Four calls. An implementation tries again until it knows: a lost answer, a refusal or a store that is away is
/// never an answer. Whoever cannot wait drops the future.
pub trait Store: Send + Sync + 'static {
    /// Writes `object` unless its key is taken (`If-None-Match: *`).
    fn create(&self, object: &NewObject) -> impl Future<Output = Created> + Send;

    /// Reads a whole object; `None` if there is none.
    fn get(&self, key: &str) -> impl Future<Output = Option<Bytes>> + Send;

    /// What the object under `key` says it holds; `None` if there is none.
    fn head(&self, key: &str) -> impl Future<Output = Option<Head>> + Send;

    /// All keys that begin with `prefix`, ascending; only those greater than `after`, if given.
    fn list(&self, prefix: &str, after: Option<&str>) -> impl Future<Output = Vec<String>> + Send;
}

/// An object to be written.
#[derive(Debug, Clone)]
pub struct NewObject {
    /// Its key.
    pub key: String,
    /// Its body.
    pub body: Bytes,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Its metadata, `x-amz-meta-` left out.
    pub metadata: Vec<(&'static str, String)>,
}

/// Whether an object was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was.
    New,
    /// The key was taken; perhaps by an earlier attempt of this very call, whose answer was lost.
    Taken,
}

/// What an object's metadata says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The bytes of the object.
    pub size: u64,
    /// The content checksum in its metadata; `None` if it has none that can be read.
    pub checksum: Option<Checksum>,
    /// The document that says what was taken out of it last, if anything was.
    pub forgotten: Option<String>,
}
