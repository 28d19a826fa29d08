//! The machines that samples come from: the one that Andon runs on, and others that send theirs. A call
//! is explained by the one that its runtime computes on, and by none where that one is not sampled.

use std::{collections::HashMap, net::IpAddr};

use andon_model::{HostSample, ProcessSample};

use crate::{call::Call, machine::Machine};

/// Beyond these the samples of further ones explain nothing.
const MOST_OTHERS: usize = 64;

#[derive(Default)]
pub(crate) struct Machines {
    pub(crate) here: Machine,
    /// By name.
    others: HashMap<String, Other>,
    /// Of which nothing is known.
    unknown: Machine,
}

#[derive(Default)]
struct Other {
    machine: Machine,
    /// Where its samples came from last.
    address: Option<IpAddr>,
}

impl Machines {
    pub(crate) fn note(&mut self, host: &HostSample, processes: &[ProcessSample]) {
        match &host.host {
            None => self.here.note(host, processes),
            Some(name) => {
                if let Some(other) = self.other(name) {
                    other.machine.note(host, processes);
                }
            }
        }
    }

    pub(crate) fn note_address(&mut self, name: &str, address: IpAddr) {
        if let Some(other) = self.other(name) {
            other.address = Some(address.to_canonical());
        }
    }

    fn other(&mut self, name: &str) -> Option<&mut Other> {
        if self.others.len() >= MOST_OTHERS && !self.others.contains_key(name) {
            return None;
        }
        Some(self.others.entry(name.to_owned()).or_default())
    }

    /// The machine that the call's runtime computes on.
    pub(crate) fn of(&self, call: Call<'_>) -> &Machine {
        let caller = || self.named(call.0.host.as_deref()?).map(|other| &other.machine);
        let Some(authority) = call.word("server.address") else {
            return caller().unwrap_or(&self.here);
        };
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let host = host.trim_matches(['[', ']']);
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            // Of whoever asked.
            return caller().unwrap_or(&self.here);
        }
        let by_address = || self.others.values().find(|other| other.address == address);
        let other = match address {
            Some(_) => by_address(),
            None => self.named(host),
        };
        other.map_or(&self.unknown, |other| &other.machine)
    }

    /// A host's name with its domain or without.
    fn named(&self, name: &str) -> Option<&Other> {
        let first = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
        let found = self.others.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let alike = || self.others.iter().find(|(known, _)| first(known) == first(name));
        found.or_else(alike).map(|(_, other)| other)
    }
}

#[cfg(test)]
mod tests {
    use andon_model::{LlmKind, Span};

    use super::*;

    fn sample(host: Option<&str>, used: u64) -> HostSample {
        HostSample {
            time_ns: 1,
            host: host.map(str::to_owned),
            memory_total_bytes: 100,
            memory_used_bytes: 100 - used,
            ..HostSample::default()
        }
    }

    #[test]
    fn a_call_is_explained_by_the_machine_of_its_runtime() {
        let mut machines = Machines::default();
        machines.note(&sample(None, 1), &[]);
        machines.note(&sample(Some("gpu-box.lan"), 2), &[]);
        machines.note_address("gpu-box.lan", "192.0.2.7".parse().unwrap());
        let free = |host: Option<&str>, address: Option<&str>| {
            let mut span = Span { llm_kind: Some(LlmKind::Llm), ..Span::default() };
            span.host = host.map(str::to_owned);
            if let Some(address) = address {
                span.attributes.set("server.address", address);
            }
            machines.of(Call(&span)).free_memory()
        };
        assert_eq!(free(None, None), Some(1));
        assert_eq!(free(Some("andon"), Some("127.0.0.1:11434")), Some(1));
        assert_eq!(free(None, Some("192.0.2.7:11434")), Some(2));
        assert_eq!(free(None, Some("[::ffff:192.0.2.7]:11434")), Some(2));
        assert_eq!(free(None, Some("gpu-box:11434")), Some(2));
        assert_eq!(free(Some("gpu-box"), Some("localhost:11434")), Some(2));
        assert_eq!(free(Some("gpu-box.lan"), None), Some(2));
        assert_eq!(free(None, Some("192.0.2.8:11434")), None);
        assert_eq!(free(None, Some("elsewhere:11434")), None);
    }
}
