//! `pageviews bucket`: makes the bucket where there is no terraform.

use anyhow::Context as _;
use clap::Args;
use s3_sink::bucket::Bucket;
use service::Config;

use crate::{Verdict, objects, output};

/// Create the bucket of aws.s3.bucket_name unless it is there
///
/// Without any of the settings that terraform/modules/storage gives it: no versions, no policy, no lifecycle. For an
/// emulator, and for a first look.
#[derive(Debug, Args)]
pub(crate) struct Options {}

pub(crate) async fn run(config: &Config, _options: &Options) -> anyhow::Result<Verdict> {
    let bucket = Bucket::connect(config).await;
    let made = objects::persistently(async || bucket.make().await).await;
    let made = made.context("cannot make the bucket (aws.s3.*, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)")?;
    output::line(format!("{bucket}: {}", if made { "created" } else { "exists" }))?;
    Ok(Verdict::Good)
}
