//! Who may post, and how often. Everything here is off by default, and costs nothing then.
//!
//! ```text
//! cors -> address -> keys -> rate -> the handler reads the body
//! ```

pub(crate) mod address;
pub(crate) mod cors;
mod keys;
mod rate;
pub(crate) mod tls;
mod watched;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use service::config::Config;

use crate::problem::Problem;
use keys::{KeyName, Keys};
use rate::Rate;
use watched::Watched;

/// The other header that may hold an API key.
pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Asked before the body of a request is read.
pub(crate) struct Guard {
    keys: Option<Watched<Keys>>,
    rate: Option<Arc<Rate>>,
    trusted_hops: usize,
}

/// Who sent a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// Whoever has the API key of this name.
    Key(KeyName),
    /// Nobody known, from here.
    Address(IpAddr),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Reads what files the configuration names, to find mistakes before anything starts.
///
/// # Errors
/// Says which file is wrong, and how.
pub(crate) fn check(config: &Config) -> Result<(), String> {
    keys::file(config).map(|file| file.read()).transpose()?;
    tls::files(config).map(|files| files.read()).transpose()?;
    Ok(())
}

impl Guard {
    /// Starts the tasks that read the keys again and forget callers.
    pub(crate) fn start(config: &Config) -> Result<Self, String> {
        Ok(Self {
            keys: keys::file(config).map(|file| file.watch(Keys::tell)).transpose()?,
            rate: config.ingest.rate_limit.map(Rate::start),
            trusted_hops: config.ingest.trusted_hops,
        })
    }

    /// Who sent `request`, if they may post now.
    ///
    /// # Errors
    /// 401 without a key that is known, 429 past the rate limit.
    pub(crate) fn admit(&self, request: &HttpRequest) -> Result<Option<Caller>, Problem> {
        if self.keys.is_none() && self.rate.is_none() {
            return Ok(None);
        }
        let key = self.keys.as_ref().map(|keys| known_key(&keys.get(), request)).transpose();
        let caller = match &key {
            Ok(Some(name)) => Caller::Key(name.clone()),
            // Requests with wrong keys count too, so that keys cannot be guessed at line rate.
            Ok(None) | Err(_) => Caller::Address(address::of(request, self.trusted_hops)),
        };
        if let Some(rate) = &self.rate {
            rate.take(&caller)?;
        }
        key.map(|_| Some(caller))
    }
}

fn known_key(keys: &Keys, request: &HttpRequest) -> Result<KeyName, Problem> {
    let headers = request.headers();
    let bearer = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(bearer);
    // Either: a proxy may have put a token of its own beside the key.
    let given = [bearer, headers.get(API_KEY).map(HeaderValue::as_bytes)];
    if given == [None, None] {
        return Err(Problem::unauthorized(
            "an API key is needed: send it as Authorization: Bearer KEY, or as X-API-Key: KEY",
        ));
    }
    let mut known = given.into_iter().flatten().filter_map(|key| keys.find(key));
    known.next().ok_or_else(|| Problem::unauthorized("this API key is not known"))
}

/// The token in `Bearer TOKEN` (RFC 6750, section 2.1).
fn bearer(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer  abc "), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc="), None);
        assert_eq!(bearer(b"Bearer"), None);
    }
}
