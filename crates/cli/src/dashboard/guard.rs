//! Who may look: a page of somebody else's, in the browser of somebody who may, must not.

use std::net::SocketAddr;

use hyper::Method;

/// What requests are answered, by their method and the host that they ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    /// Whether only this machine can ask.
    is_local: bool,
}

/// Why a request is refused: the status, and in words.
pub(super) type Refusal = (u16, &'static str);

impl Guard {
    /// The guard of a server that listens on `address`.
    pub(super) fn of(address: SocketAddr) -> Self {
        Self { is_local: address.ip().is_loopback() }
    }

    /// Whether to answer: reads only, and on a loopback address only by a name of this machine. A name that an attacker has
    /// pointed there (DNS rebinding) is none.
    pub(super) fn admit(self, method: &Method, host: Option<&str>) -> Result<(), Refusal> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err((405, "this page is read with GET"));
        }
        if self.is_local && !host.is_some_and(is_this_machine) {
            return Err((
                421,
                "ask for localhost or 127.0.0.1: --listen with another address serves other names",
            ));
        }
        Ok(())
    }
}

fn is_this_machine(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(listen: &str, method: Method, host: Option<&str>) -> Option<u16> {
        let guard = Guard::of(listen.parse().unwrap());
        guard.admit(&method, host).err().map(|(status, _)| status)
    }

    #[test]
    fn names_of_this_machine_are_answered_and_others_are_not() {
        for host in ["localhost", "localhost:8085", "127.0.0.1:8085", "[::1]", "[::1]:8085"] {
            assert_eq!(admit("127.0.0.1:8085", Method::GET, Some(host)), None, "{host}");
        }
        for host in ["evil.example", "evil.example:8085", "localhost.evil.example", "127.0.0.1:x", "", "::1"]
        {
            assert_eq!(admit("127.0.0.1:8085", Method::GET, Some(host)), Some(421), "{host}");
        }
        assert_eq!(admit("[::1]:8085", Method::GET, None), Some(421));
    }

    #[test]
    fn any_name_will_do_where_others_may_ask() {
        assert_eq!(admit("0.0.0.0:8085", Method::GET, Some("pipeline.example")), None);
        assert_eq!(admit("0.0.0.0:8085", Method::HEAD, None), None);
    }

    #[test]
    fn it_is_only_read() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            assert_eq!(admit("127.0.0.1:8085", method, Some("localhost")), Some(405));
        }
    }
}
