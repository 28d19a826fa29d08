//! How much memory there is, and how much this process holds.

use std::fs;

use crate::gguf::Gguf;

/// Bytes resident now; 0 where the system does not tell.
pub(super) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmRSS:").unwrap_or(0)
}

/// Bytes that a new load may take: the system's, or less where a cgroup limits it.
pub(super) fn available_bytes() -> Option<u64> {
    let system = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    let number = |name: &str| {
        fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse::<u64>().ok()
    };
    let limit = number("memory.max").zip(number("memory.current"));
    Some(limit.map_or(system, |(most, current)| {
        // File pages count as used there, but make room when memory is short.
        let files = fs::read_to_string("/sys/fs/cgroup/memory.stat").ok();
        let files = files.and_then(|text| stat_field(&text, "file ")).unwrap_or(0);
        system.min(most.saturating_sub(current.saturating_sub(files)))
    }))
}

/// Bytes that the memory of `context` tokens takes, by the file's head.
pub(super) fn cache_bytes(head: &Gguf, context: u32) -> u64 {
    let number = |key| head.architecture_number(key);
    let layers = number("block_count").unwrap_or(0);
    let heads = number("attention.head_count").unwrap_or(1).max(1);
    let key_heads = number("attention.head_count_kv").unwrap_or(heads);
    let default_width = number("embedding_length").unwrap_or(0) / heads;
    let key = number("attention.key_length").unwrap_or(default_width);
    let value = number("attention.value_length").unwrap_or(default_width);
    // Two bytes for each number (f16).
    [layers, key_heads, key.saturating_add(value), 2, u64::from(context)]
        .into_iter()
        .fold(1, u64::saturating_mul)
}

/// `Name:   123 kB`, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

fn stat_field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_become_bytes() {
        assert_eq!(field("MemTotal: 5 kB\nMemAvailable:    7 kB\n", "MemAvailable:"), Some(7168));
        assert_eq!(field("", "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_a_size() {
        if cfg!(target_os = "linux") {
            assert!(resident_bytes() > 1024 * 1024);
            assert!(available_bytes().is_some());
        }
    }
}
