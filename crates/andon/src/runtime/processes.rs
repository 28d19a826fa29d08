//! Which processes the watched runtimes are, so that the machine's samples know them whatever they are
//! called: our own child, and whoever serves the address of another one on this machine.

use std::{net::SocketAddr, time::Duration};

use andon_gateway::{RuntimeCatalog, RuntimeInfo};
use andon_host::{RuntimePids, port_holder};

/// A runtime may be restarted between two looks at whether it answers.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Hands on what comes to it; the process behind it is in a container.
const FORWARDERS: [&str; 3] = ["docker-proxy", "rootlessport", "ssh"];

/// Keeps the list for as long as it is polled.
pub(crate) async fn keep_known(catalogs: Vec<RuntimeCatalog>, pids: RuntimePids) {
    // Each hears of a change once; one made anew would hear of the last one again and again.
    let mut states: Vec<_> = catalogs.iter().map(|catalog| catalog.target().subscribe()).collect();
    while !states.is_empty() {
        let running: Vec<_> =
            states.iter_mut().filter_map(|state| state.borrow_and_update().ready.clone()).collect();
        // Looking through the open files of all processes may wait for the kernel.
        let looked = tokio::task::spawn_blocking(move || {
            running.iter().filter_map(process_of).collect::<Vec<_>>()
        });
        if let Ok(found) = looked.await {
            pids.set(&found);
        }
        let changes = states.iter_mut().map(|state| Box::pin(state.changed()));
        let ended = tokio::select! {
            (change, at, _) = futures_util::future::select_all(changes) => change.err().map(|_| at),
            () = tokio::time::sleep(LOOK_EVERY) => None,
        };
        if let Some(at) = ended {
            states.swap_remove(at);
        }
    }
}

fn process_of(runtime: &RuntimeInfo) -> Option<u32> {
    runtime.pid.or_else(|| server_of(&runtime.authority))
}

/// The process that serves an address of this machine.
pub(crate) fn server_of(authority: &str) -> Option<u32> {
    let address = local_address(authority)?;
    let (pid, name) = port_holder(address)?;
    (pid != std::process::id() && !FORWARDERS.contains(&name.as_str())).then_some(pid)
}

/// `None` where it is another machine's.
fn local_address(authority: &str) -> Option<SocketAddr> {
    let (host, port) = authority.rsplit_once(':')?;
    let host = if host == "localhost" { "127.0.0.1" } else { host };
    let address: SocketAddr = format!("{host}:{port}").parse().ok()?;
    address.ip().is_loopback().then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_looked_up() {
        assert!(local_address("127.0.0.1:11434").is_some());
        assert!(local_address("localhost:11434").is_some());
        assert!(local_address("[::1]:11434").is_some());
        for other in ["192.0.2.1:11434", "ollama:11434", "127.0.0.1", ""] {
            assert_eq!(local_address(other), None, "{other}");
        }
    }
}
