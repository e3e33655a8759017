//! How AWS is reached: the region of the configuration, credentials from the SDK's default chain, TLS by rustls.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::{Builder, tls};

use crate::config;

/// What every client of an AWS service starts from. Nothing is sent yet.
pub async fn shared(aws: &config::Aws) -> SdkConfig {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(aws.region.clone()))
        .http_client(Builder::new().tls_provider(provider).build_https())
        .load()
        .await
}
