//! The machines that samples come from: the one that Andon runs on, and others that send theirs. A call
//! is explained by the one that its runtime computes on, and by none where that one is not sampled.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use andon_model::{HostSample, ProcessSample, host_of, is_loopback};
use serde::Serialize;

use crate::{call::Call, machine::Machine};

/// Beyond these the samples of further ones explain nothing.
const MOST_OTHERS: usize = 64;

#[derive(Default)]
pub(crate) struct Machines {
    pub(crate) here: Machine,
    /// What it is called besides: its addresses, and its containers' names and addresses.
    own: HashSet<String>,
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

type Named<'a> = (&'a String, &'a Other);

/// Another machine than Andon's own, where a call's runtime is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RunsOn {
    /// Its address or name, as the runtime's was given.
    pub address: String,
    /// The name under which it tells of itself; `None` where it does not.
    pub host: Option<String>,
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

    pub(crate) fn set_own(&mut self, hosts: impl Iterator<Item = String>) {
        self.own = hosts.map(|host| host.to_lowercase()).collect();
    }

    /// Whether `host[:port]` is on Andon's own machine, said by somebody there.
    pub(crate) fn is_here(&self, authority: &str) -> bool {
        is_callers(authority) || self.own.contains(&bare(host_of(authority)).to_lowercase())
    }

    fn other(&mut self, name: &str) -> Option<&mut Other> {
        if self.others.len() >= MOST_OTHERS && !self.others.contains_key(name) {
            return None;
        }
        Some(self.others.entry(name.to_owned()).or_default())
    }

    /// The machine that the call's runtime computes on.
    pub(crate) fn of(&self, call: Call<'_>) -> &Machine {
        self.at(call.word("server.address"), call.0.host.as_deref())
    }

    /// The machine of a runtime that is called `host[:port]` by somebody on the machine `caller`.
    pub(crate) fn at(&self, authority: Option<&str>, caller: Option<&str>) -> &Machine {
        let caller = caller.and_then(|name| self.named(name));
        match authority.and_then(|authority| self.elsewhere(authority, caller)) {
            Some((_, other)) => other.map_or(&self.unknown, |(_, other)| &other.machine),
            None => caller.map_or(&self.here, |(_, other)| &other.machine),
        }
    }

    /// Where a runtime is not on the machine of whoever calls it so: its host, and the machine, if that
    /// tells of itself. `caller`: another machine than Andon's own.
    fn elsewhere<'a>(
        &self,
        authority: &'a str,
        caller: Option<Named<'_>>,
    ) -> Option<(&'a str, Option<Named<'_>>)> {
        // A container's name means another one elsewhere.
        if is_callers(authority) || caller.is_none() && self.is_here(authority) {
            return None;
        }
        let host = bare(host_of(authority));
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let other = match address {
            Some(_) => self.others.iter().find(|(_, other)| other.address == address),
            None => self.named(host),
        };
        Some((host, other))
    }

    pub(crate) fn runs_on(&self, call: Call<'_>) -> Option<RunsOn> {
        let name = call.0.host.as_deref();
        let caller = name.and_then(|name| self.named(name));
        let authority = call.word("server.address");
        let (address, other) =
            match authority.and_then(|authority| self.elsewhere(authority, caller)) {
                Some(elsewhere) => elsewhere,
                None => (name?, Some(caller?)),
            };
        let host = other.map(|(name, _)| name.clone());
        Some(RunsOn { address: address.to_owned(), host })
    }

    /// A host's name with its domain or without.
    fn named(&self, name: &str) -> Option<Named<'_>> {
        let first = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
        let found = self.others.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.or_else(|| self.others.iter().find(|(known, _)| first(known) == first(name)))
    }
}

/// Whether `host[:port]` is the machine of whoever says it.
fn is_callers(authority: &str) -> bool {
    // As servers write it that listen on all addresses; asked, it is one's own.
    let address = bare(host_of(authority)).parse::<IpAddr>();
    is_loopback(authority) || address.is_ok_and(|address| address.is_unspecified())
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
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
        let free = |machines: &Machines, host: Option<&str>, address: Option<&str>| {
            let mut span = Span { llm_kind: Some(LlmKind::Llm), ..Span::default() };
            span.host = host.map(str::to_owned);
            if let Some(address) = address {
                span.attributes.set("server.address", address);
            }
            machines.of(Call(&span)).free_memory()
        };
        assert_eq!(free(&machines, None, None), Some(1));
        assert_eq!(free(&machines, Some("andon"), Some("127.0.0.1:11434")), Some(1));
        assert_eq!(free(&machines, None, Some("192.0.2.7:11434")), Some(2));
        assert_eq!(free(&machines, None, Some("[::ffff:192.0.2.7]:11434")), Some(2));
        assert_eq!(free(&machines, None, Some("gpu-box:11434")), Some(2));
        assert_eq!(free(&machines, Some("gpu-box"), Some("localhost:11434")), Some(2));
        assert_eq!(free(&machines, Some("gpu-box.lan"), None), Some(2));
        assert_eq!(free(&machines, None, Some("192.0.2.8:11434")), None);
        assert_eq!(free(&machines, None, Some("elsewhere:11434")), None);
        // Containers on Andon's own machine.
        machines.set_own(["Elsewhere", "192.0.2.8", "fd00::2"].map(str::to_owned).into_iter());
        for own in ["elsewhere:11434", "ELSEWHERE", "192.0.2.8:11434", "[fd00::2]:11434"] {
            assert_eq!(free(&machines, Some("andon"), Some(own)), Some(1), "{own}");
        }
        assert_eq!(free(&machines, None, Some("gpu-box:11434")), Some(2));
        assert_eq!(free(&machines, Some("gpu-box"), Some("elsewhere:11434")), None);
    }

    #[test]
    fn a_runtime_on_another_machine_is_named_whether_that_tells_of_itself_or_not() {
        let mut machines = Machines::default();
        machines.note(&sample(Some("gpu-box.lan"), 2), &[]);
        let runs_on = |host: &str, address: &str| {
            let mut span = Span { llm_kind: Some(LlmKind::Llm), ..Span::default() };
            span.host = Some(host.to_owned());
            span.attributes.set("server.address", address);
            machines.runs_on(Call(&span)).map(|it| (it.address, it.host))
        };
        let gpu_box = || Some("gpu-box.lan".to_owned());
        assert_eq!(runs_on("andon", "gpu-box:11434"), Some(("gpu-box".to_owned(), gpu_box())));
        assert_eq!(runs_on("andon", "192.0.2.8:11434"), Some(("192.0.2.8".to_owned(), None)));
        assert_eq!(runs_on("gpu-box", "[::1]:11434"), Some(("gpu-box".to_owned(), gpu_box())));
        assert_eq!(runs_on("andon", "localhost:11434"), None);
        assert_eq!(runs_on("andon", "0.0.0.0:11434"), None);
    }
}
