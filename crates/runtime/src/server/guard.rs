//! Keeps web pages away from a server without accounts.
//!
//! A page from anywhere can make a browser send requests to this machine. Its own name gives it
//! away: in `Origin`, or (after its name was pointed at 127.0.0.1) in `Host`. Checked on loopback
//! only, as Ollama does; on another address the caller has decided who may come.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Whether a request to `listening` may pass.
pub(super) fn allows(listening: IpAddr, headers: &HeaderMap) -> bool {
    if !listening.is_loopback() {
        return true;
    }
    let host_is_local = headers
        .get(HOST)
        .is_none_or(|host| host.to_str().is_ok_and(|host| is_local(without_port(host))));
    let origin_is_local = headers.get(ORIGIN).is_none_or(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        authority.is_some_and(|(_, authority)| is_local(without_port(authority)))
    });
    host_is_local && origin_is_local
}

fn without_port(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn is_local(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified(),
        };
    }
    let host = host.to_ascii_lowercase();
    host.is_empty() || host == "localhost" || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn passes(host: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        allows(IpAddr::from([127, 0, 0, 1]), &headers)
    }

    #[test]
    fn pages_from_elsewhere_are_kept_out() {
        assert!(passes(Some("127.0.0.1:11434"), None));
        assert!(passes(Some("[::1]:11434"), None));
        assert!(passes(Some("localhost"), Some("http://localhost:3000")));
        assert!(passes(None, None));
        assert!(!passes(Some("evil.example:11434"), None));
        assert!(!passes(Some("127.0.0.1:11434"), Some("https://evil.example")));
        assert!(!passes(Some("127.0.0.1:11434"), Some("null")));
        assert!(allows(IpAddr::from([0, 0, 0, 0]), &HeaderMap::new()));
    }
}
