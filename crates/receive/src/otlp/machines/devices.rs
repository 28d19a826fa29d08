//! Which disks and interfaces count: bytes that go through two of them are there once, as in the samples
//! of Andon's own machine.

use std::collections::HashSet;

/// What sits on top of other disks, in memory, or in a drive.
const STACKED_DISKS: [&str; 9] = ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "bcache", "drbd"];

/// Interfaces whose bytes also go through another one.
const INNER_INTERFACES: [&str; 14] = [
    "veth", "docker", "br-", "virbr", "vnet", "bond", "team", "tun", "tap", "wg", "cni", "flannel",
    "cali", "dummy",
];

/// Neither on top of another disk nor a part of one of these. `sda1` is a part of `sda`, `nvme0n1p2` of
/// `nvme0n1`; of a machine that has no `xvda`, `xvda1` is the whole disk. `nvme0c1n1` is one road to
/// `nvme0n1`.
pub(super) fn is_whole_disk(name: &str, disks: &HashSet<&str>) -> bool {
    let digits = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
    if STACKED_DISKS.iter().any(|prefix| name.starts_with(prefix))
        || name.strip_prefix("nvme").is_some_and(|rest| digits(rest).starts_with('c'))
    {
        return false;
    }
    let disk = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let ends_in_digit = |name: &&str| name.ends_with(|c: char| c.is_ascii_digit());
    let numbered = disk.strip_suffix('p').filter(ends_in_digit);
    disk == name || !disks.contains(numbered.unwrap_or(disk)) || disk.is_empty()
}

/// Neither within the machine nor within another interface.
pub(super) fn is_outer_interface(name: &str) -> bool {
    let is_loopback = ["lo", "lo0"].contains(&name) || name.starts_with("Loopback");
    let is_vlan = name.contains('.');
    !(is_loopback || is_vlan || INNER_INTERFACES.iter().any(|prefix| name.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_count_twice_is_left_out() {
        let disks = HashSet::from([
            "sda",
            "sda1",
            "nvme0n1",
            "nvme0n1p2",
            "nvme0c1n1",
            "xvdb1",
            "dm-0",
            "loop3",
            "mmcblk0",
            "mmcblk0p1",
            "disk0",
            "C:",
        ]);
        let mut whole: Vec<_> =
            disks.iter().copied().filter(|name| is_whole_disk(name, &disks)).collect();
        whole.sort_unstable();
        assert_eq!(whole, ["C:", "disk0", "mmcblk0", "nvme0n1", "sda", "xvdb1"]);
        let names = ["lo", "eth0", "eth0.100", "docker0", "wlp3s0", "en0", "lo0", ""];
        let outer: Vec<_> = names.into_iter().filter(|name| is_outer_interface(name)).collect();
        assert_eq!(outer, ["eth0", "wlp3s0", "en0", ""]);
    }
}
