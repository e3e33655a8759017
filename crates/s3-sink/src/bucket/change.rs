//! Changing what is there, which the sink itself never does: an operator erases what a person asks to be erased.

use std::collections::HashMap;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use bytes::Bytes;

use super::{Bucket, Error, Kind, chain, patient, status};

/// One version of an object: what it held when it was read.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its body.
    pub body: Bytes,
    /// Its metadata, `x-amz-meta-` left out.
    pub metadata: HashMap<String, String>,
    content_type: String,
    etag: String,
}

/// Whether an object was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It was.
    Done,
    /// It is no longer the version that was read: somebody changed or deleted it, or an earlier attempt of this very call
    /// was done and its answer lost.
    Changed,
}

impl Bucket {
    /// Makes the bucket in the region of the configuration, and says whether it did: one that is there is left as it is.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn make(&self) -> Result<bool, Error> {
        match self.check().await {
            Err(Error { kind: Kind::NoBucket, .. }) => {}
            there => return there.map(|()| false),
        }
        let region = self.client.config().region().map(AsRef::as_ref).unwrap_or_default();
        // The one region that has no name here.
        let region = (region != "us-east-1").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region))
                .build()
        });
        let create = self.client.create_bucket().bucket(&self.name).set_create_bucket_configuration(region);
        match create.send().await {
            Ok(_) => Ok(true),
            // Somebody else was quicker.
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(false),
            Err(error) => Err(self.error("CREATE", "", error)),
        }
    }

    /// Reads an object, so that it can be replaced; `None` if there is none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn version(&self, key: &str) -> Result<Option<Version>, Error> {
        let object = match self.client.get_object().bucket(&self.name).key(self.at(key)).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
                return Ok(None);
            }
            Err(error) => return Err(self.error("GET", key, error)),
        };
        let metadata = object.metadata.unwrap_or_default();
        let (content_type, etag) =
            (object.content_type.unwrap_or_default(), object.e_tag.unwrap_or_default());
        let cut_off = |error| self.failed(Kind::Unreachable, "GET", key, chain(&error));
        let body = object.body.collect().await.map_err(cut_off)?.into_bytes();
        Ok(Some(Version { body, metadata, content_type, etag }))
    }

    /// Writes `body` over `version` of the object `key`, with the metadata that it has and `mark` besides; nothing if the
    /// object is another one by now (`If-Match`).
    ///
    /// # Errors
    /// [`Error`]; the object may have been replaced all the same.
    pub async fn replace(
        &self,
        key: &str,
        version: &Version,
        body: Bytes,
        (name, value): (&str, &str),
    ) -> Result<Replaced, Error> {
        let mut metadata = version.metadata.clone();
        metadata.insert(name.to_owned(), value.to_owned());
        let patience = patient(body.len() as u64, 0);
        let put = self.put(key, &version.content_type, body).if_match(&version.etag);
        let put = put.set_metadata(Some(metadata));
        match put.customize().config_override(patience).send().await {
            Ok(_) => Ok(Replaced::Done),
            Err(error) if status(&error) == Some(412) || error.code() == Some("NoSuchKey") => {
                Ok(Replaced::Changed)
            }
            Err(error) => Err(self.error("PUT", key, error)),
        }
    }

    /// Deletes the object `key`; one that is not there is deleted, too. A bucket with versions keeps the old one.
    ///
    /// # Errors
    /// [`Error`]; the object may have been deleted all the same.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        match self.client.delete_object().bucket(&self.name).key(self.at(key)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.error("DELETE", key, error)),
        }
    }
}
