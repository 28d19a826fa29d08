//! Whether an address is on this machine: one of its own, or that of a container on it. A container has
//! a network of its own, but the kernel shows each process the network it is in, and the processes of
//! containers are this machine's.
//!
//! `/proc/<pid>/net` can be read of any process, as other than who it serves (`man 5 proc_pid_net`).

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use crate::{
    command,
    files::{FileReader, ProcessPath, Roots},
    port::{MAX_PROCESSES, is_served, pids},
    role,
};

/// Whether `address` belongs to this machine, in the network that Andon is in.
pub fn is_own_address(address: IpAddr) -> bool {
    has_address(&mut FileReader::new(), &Roots::default().proc.join("net"), address)
}

/// Pid of a runtime in another network of this machine that listens at `address`, which is one of that
/// network's own.
pub fn runtime_in_container(address: SocketAddr) -> Option<u32> {
    runtime_at(&Roots::default(), address)
}

fn runtime_at(roots: &Roots, address: SocketAddr) -> Option<u32> {
    let mut reader = FileReader::new();
    let mut path = ProcessPath::new(&roots.proc);
    pids(&roots.proc).take(MAX_PROCESSES).find(|pid| {
        is_runtime(*pid, &mut path, &mut reader)
            && path.with(*pid, "net", |net| {
                is_served(&mut reader, net, address) && has_address(&mut reader, net, address.ip())
            })
    })
}

fn is_runtime(pid: u32, path: &mut ProcessPath, reader: &mut FileReader) -> bool {
    let may_be = path.with(pid, "comm", |path| reader.read_text(path).map(role::may_be_runtime));
    may_be == Some(true)
        && path.with(pid, "cmdline", |path| {
            let bytes = reader.read_up_to(path, command::MAX_COMMAND_BYTES);
            role::is_runtime(&bytes.map(command::arguments).unwrap_or_default())
        })
}

/// Whether the network that `net` shows has the address.
fn has_address(reader: &mut FileReader, net: &Path, address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let wanted = format!("|-- {address}");
            let lines = reader.read_text(&net.join("fib_trie")).unwrap_or_default().lines();
            let mut is_of_wanted = false;
            // An address, and what it is to this network in the lines below it.
            lines.map(str::trim).any(|line| {
                if line.starts_with(['|', '+']) {
                    is_of_wanted = line == wanted;
                }
                is_of_wanted && line == "/32 host LOCAL"
            })
        }
        IpAddr::V6(address) => {
            let wanted = format!("{:032x}", u128::from(address));
            let text = reader.read_text(&net.join("if_inet6")).unwrap_or_default();
            text.lines().any(|line| line.split_ascii_whitespace().next() == Some(wanted.as_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FIB_TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 172.18.0.0/16 2 0 2
        |-- 172.18.0.0
           /16 link UNICAST
        |-- 172.18.0.2
           /32 host LOCAL
        |-- 172.18.0.3
           /32 link UNICAST
Local:
     |-- 127.0.0.1
        /32 host LOCAL
";
    const IF_INET6: &str = "fd000000000000000000000000000002 04 40 00 82     eth0\n";
    /// Port 11434 on all addresses.
    const TCP6: &str = "  sl  local_address
   0: 00000000000000000000000000000000:2CAA 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 9 1
";

    fn process(proc: &Path, pid: u32, command: &str, files: &[(&str, &str)]) {
        let name = command.split('\0').next().unwrap();
        let folder = proc.join(pid.to_string());
        fs::create_dir_all(folder.join("net")).unwrap();
        fs::write(folder.join("comm"), name).unwrap();
        fs::write(folder.join("cmdline"), command).unwrap();
        for (file, text) in files {
            fs::write(folder.join("net").join(file), text).unwrap();
        }
    }

    #[test]
    fn a_runtime_in_a_container_is_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let net = [("fib_trie", FIB_TRIE), ("if_inet6", IF_INET6), ("tcp6", TCP6)];
        process(&roots.proc, 7, "python3\0-m\0http.server", &net);
        process(&roots.proc, 8, "ollama\0run", &net);
        process(&roots.proc, 9, "ollama\0serve", &net);
        let at = |address: &str| runtime_at(&roots, address.parse().unwrap());
        assert_eq!(at("172.18.0.2:11434"), Some(9));
        assert_eq!(at("[fd00::2]:11434"), Some(9));
        assert_eq!(at("172.18.0.2:11435"), None, "nobody listens");
        assert_eq!(at("172.18.0.3:11434"), None, "a neighbour");
        assert_eq!(at("[fd00::3]:11434"), None);
        fs::remove_dir_all(roots.proc.join("9/net")).unwrap();
        assert_eq!(at("172.18.0.2:11434"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_addresses_of_this_machine_are_known() {
        assert!(is_own_address("127.0.0.1".parse().unwrap()));
        assert!(is_own_address("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!is_own_address("198.51.100.77".parse().unwrap()));
        assert!(!is_own_address("2001:db8::77".parse().unwrap()));
    }
}
