//! Who holds a port: so that «address in use» can name the program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::files::{FileReader, ProcessPath, Roots};

/// Processes whose open files are looked through.
pub(crate) const MAX_PROCESSES: usize = 8192;

/// Open files looked through in one process.
const MAX_OPEN_FILES: usize = 16_384;

/// The kernel's number of the state LISTEN.
const LISTENING: &str = "0A";

/// Pid and name of a process that listens where `address` would: on the same port and the same
/// address, or with one of the two being «any». `None` when nobody does, or when it belongs to
/// another user and cannot be seen.
pub fn port_holder(address: SocketAddr) -> Option<(u32, String)> {
    port_holder_at(&Roots::default(), address)
}

fn port_holder_at(roots: &Roots, address: SocketAddr) -> Option<(u32, String)> {
    let mut reader = FileReader::new();
    let inode = socket_at(&mut reader, &roots.proc.join("net"), address)?;
    holder_of(roots, &mut reader, inode)
}

/// Whether somebody in the network that `net` shows listens where `address` would.
pub(crate) fn is_served(reader: &mut FileReader, net: &Path, address: SocketAddr) -> bool {
    socket_at(reader, net, address).is_some()
}

fn socket_at(reader: &mut FileReader, net: &Path, address: SocketAddr) -> Option<u64> {
    ["tcp", "tcp6"].iter().find_map(|table| {
        let text = reader.read_text(&net.join(table))?;
        listening_inode(text, address)
    })
}

fn listening_inode(table: &str, wanted: SocketAddr) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = words.next().and_then(socket_address)?;
        let is_listening = words.nth(1) == Some(LISTENING);
        let inode = words.nth(5)?.parse().ok()?;
        (is_listening && collide(local, wanted)).then_some(inode)
    })
}

fn collide(held: SocketAddr, wanted: SocketAddr) -> bool {
    let (held_ip, wanted_ip) = (held.ip().to_canonical(), wanted.ip().to_canonical());
    // «Any» of IPv6 takes IPv4's port along.
    let is_any = |ip: IpAddr, other: IpAddr| {
        ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4() == ip.is_ipv4())
    };
    held.port() == wanted.port()
        && (held_ip == wanted_ip || is_any(held_ip, wanted_ip) || is_any(wanted_ip, held_ip))
}

/// `0100007F:1F90` is 127.0.0.1:8080: each 32 bits as the processor holds them in memory.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |start: usize| {
        let digits = ip.get(start..start + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn holder_of(roots: &Roots, reader: &mut FileReader, inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    let mut path = ProcessPath::new(&roots.proc);
    for pid in pids(&roots.proc).take(MAX_PROCESSES) {
        if path.with(pid, "fd", |folder| holds(folder, &wanted)) {
            let name = path.with(pid, "comm", |path| reader.read(path).map(<[u8]>::to_vec))?;
            return Some((pid, String::from_utf8_lossy(&name).trim().to_owned()));
        }
    }
    None
}

/// Of all processes.
pub(crate) fn pids(proc: &Path) -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir(proc).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn holds(folder: &Path, wanted: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries
        .flatten()
        .take(MAX_OPEN_FILES)
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let read = |text| socket_address(text).unwrap().to_string();
        assert_eq!(read("0100007F:1F90"), "127.0.0.1:8080");
        assert_eq!(read("00000000000000000000000001000000:0050"), "[::1]:80");
        for wrong in ["", "0100007F", "01:1F90", "0100007F:10000", "é100007:0050"] {
            assert_eq!(socket_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn any_address_collides_with_each_of_its_kind() {
        let judged =
            |held: &str, wanted: &str| collide(held.parse().unwrap(), wanted.parse().unwrap());
        assert!(judged("127.0.0.1:80", "127.0.0.1:80"));
        assert!(judged("0.0.0.0:80", "127.0.0.1:80"));
        assert!(judged("127.0.0.1:80", "0.0.0.0:80"));
        assert!(judged("[::]:80", "127.0.0.1:80"));
        assert!(!judged("127.0.0.1:80", "127.0.0.1:81"));
        assert!(!judged("127.0.0.2:80", "127.0.0.1:80"));
        assert!(!judged("0.0.0.0:80", "[::1]:80"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_of_our_own_is_held_by_us() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may be without IPv6.
            let Ok(listener) = TcpListener::bind(any) else { continue };
            let address = listener.local_addr().unwrap();
            let (pid, name) = port_holder(address).unwrap();
            assert_eq!(pid, std::process::id());
            assert!(!name.is_empty());
            drop(listener);
            assert_eq!(port_holder(address), None);
        }
    }
}
