//! How much a limit on CPU time holds a process back: of a container, or of a service (`CPUQuota=`).
//!
//! A limit may stand on the process's own group or on any above it. The kernel gives out each group's
//! time by periods, and counts those in which it was used up (`nr_periods` and `nr_throttled` in
//! `cpu.stat`: <https://docs.kernel.org/scheduler/sched-bwc.html>). Time held back says less: it adds up
//! over CPUs.

use std::path::{Path, PathBuf};

use crate::files::{FileReader, Roots};
use crate::parse::named_number;

/// Deeper nesting than this is not followed.
const MOST_GROUPS: usize = 32;

/// The groups above one process, of either version.
#[derive(Debug, Default)]
pub(crate) struct Throttling(Vec<Group>);

#[derive(Debug)]
struct Group {
    stat: PathBuf,
    before: Option<Periods>,
}

#[derive(Debug, Clone, Copy)]
struct Periods {
    all: u64,
    throttled: u64,
}

impl Throttling {
    /// Takes those of a process whose list of groups is `groups` (`/proc/PID/cgroup`); one that was
    /// known goes on where it was.
    pub(crate) fn find(&mut self, groups: &str, roots: &Roots) {
        let stats = groups.lines().filter_map(|line| folder(line, roots)).flat_map(stats);
        let group = |stat: PathBuf| {
            let known = self.0.iter().find(|known| known.stat == stat);
            Group { before: known.and_then(|known| known.before), stat }
        };
        self.0 = stats.take(MOST_GROUPS).map(group).collect();
    }

    /// The share of the periods since the last look in which a limit held the process back, 0 to 1: of
    /// several limits that of the one that did most. `None` where none counts.
    pub(crate) fn look(&mut self, reader: &mut FileReader) -> Option<f64> {
        self.0.iter_mut().filter_map(|group| group.look(reader)).reduce(f64::max)
    }
}

impl Group {
    fn look(&mut self, reader: &mut FileReader) -> Option<f64> {
        let text = reader.read_text(&self.stat)?;
        let all = named_number(text, "nr_periods")?;
        let now = Periods { all, throttled: named_number(text, "nr_throttled")? };
        let before = self.before.replace(now)?;
        // Without a limit no period begins, and while nothing runs neither.
        let periods = now.all.checked_sub(before.all).filter(|count| *count > 0)?;
        let throttled = now.throttled.saturating_sub(before.throttled);
        Some((throttled as f64 / periods as f64).min(1.0))
    }
}

/// The group that a line names, and where its tree begins: `4:cpu,cpuacct:/docker/1` of the first
/// version, `0::/docker/1` of the second.
fn folder(line: &str, roots: &Roots) -> Option<(PathBuf, PathBuf)> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let base = roots.sys.join("fs/cgroup");
    let trees = match number {
        "0" => vec![base.join("unified"), base],
        _ if controllers.split(',').any(|name| name == "cpu") => {
            vec![base.join("cpu"), base.join(controllers)]
        }
        _ => return None,
    };
    // Outside of what a container sees.
    let below = path.trim_start_matches('/');
    if below.split('/').any(|part| part == "..") {
        return None;
    }
    let tree = trees.into_iter().find(|tree| tree.is_dir())?;
    Some((tree.join(below), tree))
}

/// From the group itself upwards, as far as they can be seen.
fn stats((folder, tree): (PathBuf, PathBuf)) -> Vec<PathBuf> {
    let within = |above: &&Path| above.starts_with(&tree);
    let files = folder.ancestors().take_while(within).map(|above| above.join("cpu.stat"));
    files.filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;

    fn counted(folder: &Path, all: u64, throttled: u64) {
        create_dir_all(folder).unwrap();
        let text = format!("nr_periods {all}\nnr_throttled {throttled}\nthrottled_time 5\n");
        write(folder.join("cpu.stat"), text).unwrap();
    }

    #[test]
    fn the_limit_that_holds_back_most_counts_wherever_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let base = roots.sys.join("fs/cgroup");
        for lines in ["0::/system/ollama", "9:memory:/m\n4:cpu,cpuacct:/system/ollama"] {
            let tree = if lines.starts_with('0') { base.clone() } else { base.join("cpu,cpuacct") };
            counted(&tree.join("system/ollama"), 100, 10);
            counted(&tree.join("system"), 50, 0);
            let mut reader = FileReader::new();
            let mut throttling = Throttling::default();
            throttling.find(lines, &roots);
            assert_eq!(throttling.look(&mut reader), None, "a first look");
            counted(&tree.join("system/ollama"), 110, 11);
            counted(&tree.join("system"), 60, 8);
            assert_eq!(throttling.look(&mut reader), Some(0.8));
            // Found anew, it goes on where it was.
            throttling.find(lines, &roots);
            counted(&tree.join("system/ollama"), 120, 14);
            assert_eq!(throttling.look(&mut reader), Some(0.3));
            assert_eq!(throttling.look(&mut reader), None, "nothing ran");
        }
    }

    #[test]
    fn what_cannot_be_seen_limits_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        create_dir_all(roots.sys.join("fs/cgroup")).unwrap();
        for lines in ["", "0::/../other", "0::/gone", "4:cpu:/x", "nonsense", "0:"] {
            let mut throttling = Throttling::default();
            throttling.find(lines, &roots);
            assert_eq!(throttling.look(&mut FileReader::new()), None, "{lines}");
        }
    }
}
