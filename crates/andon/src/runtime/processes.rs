//! Which runtimes are on this machine, and which processes they are: our own child, and whoever serves
//! the address of another one, here or in a container. So the machine's samples know them whatever they
//! are called, and the diagnosis knows whose samples explain their calls.

use std::{
    collections::HashSet,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use andon_diagnose::Diagnoser;
use andon_gateway::{RuntimeCatalog, RuntimeInfo};
use andon_host::{RuntimePids, is_own_address, port_holder, runtime_in_container};
use andon_model::{host_of, is_loopback};

/// A runtime may be restarted between two looks at whether it answers.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Hands on what comes to it; the process behind it is in a container.
const FORWARDERS: [&str; 3] = ["docker-proxy", "rootlessport", "ssh"];

/// Tells who they are for as long as it is polled. `own_names`: hosts that are known to be this machine.
pub(crate) async fn keep_known(
    catalogs: Vec<RuntimeCatalog>,
    own_names: Vec<String>,
    pids: RuntimePids,
    diagnoser: Arc<Diagnoser>,
) {
    // Each hears of a change once; one made anew would hear of the last one again and again.
    let mut states: Vec<_> = catalogs.iter().map(|catalog| catalog.target().subscribe()).collect();
    let mut here = HashSet::new();
    while !states.is_empty() {
        let running: Vec<_> =
            states.iter_mut().filter_map(|state| state.borrow_and_update().ready.clone()).collect();
        // Asking for addresses and looking through the files of all processes may take a while.
        let looked = tokio::task::spawn_blocking(move || {
            running
                .into_iter()
                .map(|runtime| (server_behind(&runtime), runtime))
                .collect::<Vec<_>>()
        });
        if let Ok(found) = looked.await {
            let servers = found.iter().filter_map(|(server, _)| server.as_ref()?.pid);
            pids.set(&servers.collect::<Vec<_>>());
            // One that is down now stays where it was: its calls are explained all the same.
            for (server, runtime) in &found {
                let host = host_of(&runtime.authority);
                match server {
                    Some(_) => here.insert(host.to_owned()),
                    None => here.remove(host),
                };
            }
            diagnoser.set_own_hosts(own_names.iter().chain(&here).cloned());
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

/// Who serves an address of this machine.
struct Server {
    /// `None` where another user's processes cannot be looked into, or somebody hands calls on.
    pid: Option<u32>,
}

fn server_behind(runtime: &RuntimeInfo) -> Option<Server> {
    match runtime.pid {
        Some(pid) => Some(Server { pid: Some(pid) }),
        None => server_at(&runtime.authority),
    }
}

/// `None` where it is another machine's.
fn server_at(authority: &str) -> Option<Server> {
    if is_loopback(authority) {
        return Some(Server { pid: server_of(authority) });
    }
    authority.to_socket_addrs().ok()?.find_map(|address| {
        if is_own_address(address.ip()) {
            return Some(Server { pid: process_at(address) });
        }
        runtime_in_container(address).map(|pid| Server { pid: Some(pid) })
    })
}

/// The process that serves a loopback address.
pub(crate) fn server_of(authority: &str) -> Option<u32> {
    process_at(local_address(authority)?)
}

fn process_at(address: SocketAddr) -> Option<u32> {
    let (pid, name) = port_holder(address)?;
    (pid != std::process::id() && !FORWARDERS.contains(&name.as_str())).then_some(pid)
}

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

    #[test]
    fn a_runtime_is_here_if_its_address_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(server_at(&format!("127.0.0.1:{port}")).is_some());
        for elsewhere in ["198.51.100.7:11434", "no-such-host.invalid:11434", "none"] {
            assert!(server_at(elsewhere).is_none(), "{elsewhere}");
        }
    }
}
