//! Limits that a container or a service manager puts on Andon, and what is used of them.
//!
//! Only cgroup v2. A limit may stand at any level above our own group, so all of them are asked
//! and the smallest counts; use is then read at the level that holds the limit, since that is
//! what the limit is compared with.

use std::path::{Path, PathBuf};

use crate::files::{FileReader, Roots};
use crate::parse::named_number;

/// Deeper nesting than this is not followed.
const MAX_DEPTH: usize = 32;

/// What our cgroup, or one above it, allows. `None` where nothing limits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CgroupLimits {
    /// CPU time per time: 1.5 is one and a half cores.
    pub cpu_cores: Option<f64>,
    pub memory_bytes: Option<u64>,
}

/// The groups that hold the limits; found once, then asked with each sample.
#[derive(Debug, Default)]
pub(crate) struct Cgroup {
    cpu: Option<(PathBuf, f64)>,
    memory: Option<(PathBuf, u64)>,
}

impl Cgroup {
    pub(crate) fn find(roots: &Roots, reader: &mut FileReader) -> Self {
        let Some(folder) = own_folder(roots, reader) else { return Self::default() };
        let mut found = Self::default();
        for folder in folder.ancestors().take(MAX_DEPTH) {
            if !folder.starts_with(roots.sys.join("fs/cgroup")) {
                break;
            }
            found.take_smaller(folder, reader);
        }
        found
    }

    fn take_smaller(&mut self, folder: &Path, reader: &mut FileReader) {
        let cores = reader.read_text(&folder.join("cpu.max")).and_then(cpu_cores);
        if let Some(cores) = cores
            && self.cpu.as_ref().is_none_or(|(_, smallest)| cores < *smallest)
        {
            self.cpu = Some((folder.to_owned(), cores));
        }
        let bytes = reader.read_text(&folder.join("memory.max")).and_then(|text| {
            // «max» where there is no limit, which is no number.
            text.trim().parse::<u64>().ok()
        });
        if let Some(bytes) = bytes
            && self.memory.as_ref().is_none_or(|(_, smallest)| bytes < *smallest)
        {
            self.memory = Some((folder.to_owned(), bytes));
        }
    }

    /// Leaves out limits that do not bind: a quota of 64 cores on a machine with 8.
    pub(crate) fn keep_binding(&mut self, machine_cpus: u32, machine_memory: u64) {
        if self.cpu.as_ref().is_some_and(|(_, cores)| *cores >= f64::from(machine_cpus)) {
            self.cpu = None;
        }
        if self.memory.as_ref().is_some_and(|(_, bytes)| *bytes >= machine_memory) {
            self.memory = None;
        }
    }

    pub(crate) fn limits(&self) -> CgroupLimits {
        CgroupLimits {
            cpu_cores: self.cpu.as_ref().map(|(_, cores)| *cores),
            memory_bytes: self.memory.as_ref().map(|(_, bytes)| *bytes),
        }
    }

    /// Whole CPUs that the limit is worth; a part of one counts as one.
    pub(crate) fn cpu_count(&self) -> Option<u32> {
        self.cpu.as_ref().map(|(_, cores)| cores.ceil().max(1.0) as u32)
    }

    /// Microseconds of CPU time used so far under the CPU limit.
    pub(crate) fn cpu_used_us(&self, reader: &mut FileReader) -> Option<u64> {
        let (folder, _) = self.cpu.as_ref()?;
        named_number(reader.read_text(&folder.join("cpu.stat"))?, "usage_usec")
    }

    /// Microseconds in which that limit held tasks back.
    pub(crate) fn throttled_us(&self, reader: &mut FileReader) -> Option<u64> {
        let (folder, _) = self.cpu.as_ref()?;
        named_number(reader.read_text(&folder.join("cpu.stat"))?, "throttled_usec")
    }

    /// Bytes under the memory limit that could not be had back without swapping: what is charged
    /// less the file cache that is not in active use.
    pub(crate) fn memory_used(&self, reader: &mut FileReader) -> Option<u64> {
        let (folder, _) = self.memory.as_ref()?;
        let charged: u64 = reader.read_text(&folder.join("memory.current"))?.trim().parse().ok()?;
        let cache = reader
            .read_text(&folder.join("memory.stat"))
            .and_then(|text| named_number(text, "inactive_file"));
        Some(charged.saturating_sub(cache.unwrap_or(0)))
    }
}

/// The folder of our own group, or the nearest one above it that can be seen: in a container the
/// kernel may name a path outside of what is mounted.
fn own_folder(roots: &Roots, reader: &mut FileReader) -> Option<PathBuf> {
    let text = reader.read_text(&roots.proc.join("self/cgroup"))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = path.trim_start_matches('/');
    // Where v1 is mounted as well, v2 has a folder of its own.
    let base = roots.sys.join("fs/cgroup");
    let hybrid = base.join("unified");
    let base = if hybrid.is_dir() { hybrid } else { base };
    let own = base.join(below);
    own.ancestors().take(MAX_DEPTH).find(|folder| folder.is_dir()).map(Path::to_owned)
}

/// `150000 100000` is one and a half cores, `max 100000` no limit.
fn cpu_cores(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (period > 0.0 && quota > 0.0 && quota.is_finite()).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    fn tree(own_group: &str) -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        create_dir_all(roots.proc.join("self")).unwrap();
        create_dir_all(roots.sys.join("fs/cgroup/a/b")).unwrap();
        write(roots.proc.join("self/cgroup"), format!("1:cpu:/x\n0::{own_group}\n")).unwrap();
        (folder, roots)
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts_and_its_group_is_asked() {
        let (_folder, roots) = tree("/a/b");
        let base = roots.sys.join("fs/cgroup");
        write(base.join("a/b/cpu.max"), "400000 100000\n").unwrap();
        write(base.join("a/cpu.max"), "150000 100000\n").unwrap();
        write(base.join("a/cpu.stat"), "usage_usec 777\nuser_usec 1\nthrottled_usec 55\n").unwrap();
        write(base.join("a/b/memory.max"), "1000\n").unwrap();
        write(base.join("a/b/memory.current"), "900\n").unwrap();
        write(base.join("a/b/memory.stat"), "file 500\ninactive_file 300\n").unwrap();
        write(base.join("a/memory.max"), "max\n").unwrap();
        let mut reader = FileReader::new();
        let mut cgroup = Cgroup::find(&roots, &mut reader);
        cgroup.keep_binding(8, 5000);
        assert_eq!(
            cgroup.limits(),
            CgroupLimits { cpu_cores: Some(1.5), memory_bytes: Some(1000) }
        );
        assert_eq!(cgroup.cpu_count(), Some(2));
        assert_eq!(cgroup.cpu_used_us(&mut reader), Some(777));
        assert_eq!(cgroup.throttled_us(&mut reader), Some(55));
        assert_eq!(cgroup.memory_used(&mut reader), Some(600));
        cgroup.keep_binding(1, 1000);
        assert_eq!(cgroup.limits(), CgroupLimits::default());
    }

    #[test]
    fn a_path_that_is_not_mounted_falls_back_to_what_is() {
        let (_folder, roots) = tree("/docker/0123/inner");
        write(roots.sys.join("fs/cgroup/cpu.max"), "50000 100000\n").unwrap();
        let cgroup = Cgroup::find(&roots, &mut FileReader::new());
        assert_eq!(cgroup.limits().cpu_cores, Some(0.5));
        assert_eq!(cgroup.cpu_count(), Some(1));
    }

    #[test]
    fn no_limit_and_nonsense_are_no_limit() {
        for text in ["max 100000", "", "100000", "-1 100000", "5 0", "nan 1", "inf 1"] {
            assert_eq!(cpu_cores(text), None, "{text}");
        }
    }
}
