//! Where a request comes from, through the proxies that are trusted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderValue, X_FORWARDED_FOR};

/// The client's address, `hops` proxies away.
pub(crate) fn of(request: &HttpRequest, hops: usize) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    client(peer, request.headers().get_all(X_FORWARDED_FOR).map(HeaderValue::as_bytes), hops)
}

/// Each proxy appends the address it was asked from, so the chain `forwarded, peer` is to be believed from its end, as far
/// as there are trusted proxies; what stands before may be the client's own invention. An entry that is no address leaves
/// the last one that is.
fn client<'a>(peer: IpAddr, forwarded: impl Iterator<Item = &'a [u8]>, hops: usize) -> IpAddr {
    let mut client = peer;
    if hops > 0 {
        let entries: Vec<&[u8]> = forwarded.flat_map(|header| header.split(|byte| *byte == b',')).collect();
        for entry in entries.into_iter().rev().take(hops) {
            match parse(entry) {
                Some(address) => client = address,
                None => break,
            }
        }
    }
    client.to_canonical()
}

/// `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:5`.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bracketed.unwrap_or(text).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_believed_as_far_as_proxies_are_trusted() {
        let rows: [(&[&str], usize, &str); 11] = [
            (&[], 0, "10.0.0.1"),
            (&["6.6.6.6"], 0, "10.0.0.1"),
            (&[], 1, "10.0.0.1"),
            (&["1.1.1.1"], 1, "1.1.1.1"),
            // What the client wrote itself stands before what our proxy saw.
            (&["6.6.6.6, 1.1.1.1"], 1, "1.1.1.1"),
            (&["6.6.6.6", "1.1.1.1,10.0.0.2"], 2, "1.1.1.1"),
            // Past fewer proxies than usual.
            (&["1.1.1.1"], 2, "1.1.1.1"),
            (&["1.1.1.1:4711"], 1, "1.1.1.1"),
            (&["[2001:db8::1]:80"], 1, "2001:db8::1"),
            (&["::ffff:1.1.1.1"], 1, "1.1.1.1"),
            (&["1.1.1.1, unknown, 10.0.0.2"], 3, "10.0.0.2"),
        ];
        for (forwarded, hops, expected) in rows {
            let headers = forwarded.iter().map(|header| header.as_bytes());
            let found = client("10.0.0.1".parse().unwrap(), headers, hops);
            assert_eq!(found.to_string(), expected, "{forwarded:?} through {hops}");
        }
    }
}
