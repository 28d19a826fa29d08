//! When two names are of one thing: of models, and of machines.

use std::net::IpAddr;

/// A model's name as it is compared, by Ollama's rule: case does not matter, and the tag `latest` is
/// implied.
pub fn canonical_model(name: &str) -> String {
    let name = name.to_lowercase();
    let last = name.rsplit('/').next().unwrap_or(&name);
    if last.contains(':') { name } else { format!("{name}:latest") }
}

/// `host[:port]` without the port; an IPv6 address keeps its brackets.
pub fn host_of(authority: &str) -> &str {
    if authority.starts_with('[') {
        return authority.find(']').map_or(authority, |end| &authority[..=end]);
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Whether `host[:port]` is how a machine calls itself: whoever says it means his own.
pub fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_compared_without_case_and_with_their_tag() {
        assert_eq!(canonical_model("TinyLlama"), "tinyllama:latest");
        assert_eq!(canonical_model("hub.example:5000/a/B"), "hub.example:5000/a/b:latest");
        assert_eq!(canonical_model("granite3.2:2b"), "granite3.2:2b");
    }

    #[test]
    fn a_machine_calls_itself_by_few_names() {
        for own in ["localhost:1", "localhost", "127.0.0.1:80", "127.9.9.9", "[::1]:80", "[::1]"] {
            assert!(is_loopback(own), "{own}");
        }
        assert!(is_loopback("[::ffff:127.0.0.1]:80"));
        for other in ["192.0.2.1:80", "localhost.example:80", "[2001:db8::1]:80", "", ":", "["] {
            assert!(!is_loopback(other), "{other}");
        }
        assert_eq!(host_of("[2001:db8::1]:80"), "[2001:db8::1]");
    }
}
