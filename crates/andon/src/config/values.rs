//! Texts of settings, read: an error names the setting and shows a good value.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context, bail};

use super::units::parse_time;

pub(super) fn address(name: &str, text: &str) -> anyhow::Result<SocketAddr> {
    text.replace("localhost", "127.0.0.1").parse().with_context(|| {
        format!("{name}: {text:?} is no address; write one such as 127.0.0.1:3000")
    })
}

pub(super) fn address_or_off(name: &str, text: &str) -> anyhow::Result<Option<SocketAddr>> {
    if text == "off" { Ok(None) } else { address(name, text).map(Some) }
}

/// `http://host:port/` or `host:port`.
pub(super) fn authority(name: &str, text: &str) -> anyhow::Result<String> {
    if text.starts_with("https://") {
        bail!("{name}: https is not supported yet; reach it through a tunnel or over http");
    }
    let authority = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let ok = authority.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok()
    });
    if !ok {
        bail!("{name}: {text:?} is no address; write one such as http://127.0.0.1:11434");
    }
    Ok(authority.to_owned())
}

/// `30s`, `500ms`, `2m`, or seconds.
pub(super) fn duration(name: &str, text: &str) -> anyhow::Result<Duration> {
    let time = parse_time(text).with_context(|| {
        format!("{name}: {text:?} is no time; write one such as 30s, with ms, s, m or h")
    })?;
    if !(Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&time) {
        bail!("{name}: {text:?} must be from 1ms to 24h");
    }
    Ok(time)
}

pub(crate) fn password(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let text = match file {
        Some(file) => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("cannot read the password file {}", file.display()))?,
        ),
        None => std::env::var("ANDON_PASSWORD").ok(),
    };
    let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    if file.is_some() && text.as_ref().is_some_and(String::is_empty) {
        bail!("the password file is empty");
    }
    Ok(text.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_addresses_are_checked_with_an_example_of_a_good_one() {
        assert_eq!(duration("t", "1500ms").unwrap(), Duration::from_millis(1500));
        assert_eq!(duration("t", "2m").unwrap(), Duration::from_secs(120));
        assert!(duration("t", "0s").is_err());
        assert!(duration("t", "fast").is_err());
        assert_eq!(authority("r", "http://127.0.0.1:11434/").unwrap(), "127.0.0.1:11434");
        assert!(authority("r", "127.0.0.1").is_err());
        assert!(authority("r", "https://x:1").is_err());
    }
}
