//! TLS by rustls, with a certificate that may be renewed on disk.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use service::config::Config;

use super::watched::{Files, Watched};

/// The certificate chain and its key.
pub(crate) fn files(config: &Config) -> Option<Files<CertifiedKey>> {
    let paths = vec![config.ingest.tls_cert.clone()?, config.ingest.tls_key.clone()?];
    let parse = |contents: &[Vec<u8>]| parse(&contents[0], &contents[1]);
    Some(Files { setting: "ingest.tls_cert, ingest.tls_key", paths, parse })
}

/// How to speak TLS, if the configuration says so; starts the task that reads the certificate again.
///
/// # Errors
/// Says what is wrong with the files.
pub(crate) fn start(config: &Config) -> Result<Option<ServerConfig>, String> {
    let Some(files) = files(config) else { return Ok(None) };
    let certificate = files.watch(|_| ())?;
    let provider = Arc::new(ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Current(certificate)));
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(tls))
}

/// Serves the certificate that is on disk now.
#[derive(Debug)]
struct Current(Watched<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.get())
    }
}

fn parse(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, String> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate is not PEM: {error}"))?;
    if chain.is_empty() {
        return Err("there is no certificate in ingest.tls_cert".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| format!("there is no private key in ingest.tls_key: {error}"))?;
    let key = ring::sign::any_supported_type(&key)
        .map_err(|error| format!("the private key cannot be used: {error}"))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Not every kind of key tells its public half; a client will.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(error) => Err(format!("the private key does not belong to the certificate: {error}")),
    }
}
