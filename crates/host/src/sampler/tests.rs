//! The sampler over a `/proc` of files that the test writes.

use std::fs::{create_dir_all, remove_dir_all, write};

use super::*;
use crate::devices::{Card, Driver, Failure, Reading, no_gpus};

const OWN_PID: u32 = 100;
const UNITS: Units = Units { ticks_per_s: 100, page_bytes: 4096 };

struct FakeMachine {
    folder: tempfile::TempDir,
    start: Instant,
}

impl FakeMachine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap(), start: Instant::now() };
        machine.host(0, 0);
        machine.file("meminfo", "MemTotal: 8000 kB\nMemAvailable: 6000 kB\nSwapTotal: 0 kB\n");
        machine.process(OWN_PID, "andon", "andon\0up", 10, 0, 100);
        machine
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.folder.path().join("proc").join(path);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, content).unwrap();
    }

    fn cgroup_file(&self, name: &str, content: &str) {
        let path = self.folder.path().join("sys/fs/cgroup").join(name);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, content).unwrap();
    }

    /// Four CPUs; ticks of busy and stolen time, and other counters that grow with them.
    fn host(&self, busy: u64, steal: u64) {
        let cpus = "cpu0 0\ncpu1 0\ncpu2 0\ncpu3 0\n";
        self.file("stat", &format!("cpu {busy} 0 0 9 0 0 0 {steal}\n{cpus}btime 1764000000\n"));
        self.file("diskstats", &format!("8 0 sda 1 0 {busy} 0 1 0 {steal} 0 0 0 0\n"));
        self.file("net/dev", &format!("a\nb\neth0: {busy} 0 0 0 0 0 0 0 {steal} 0\n"));
        self.file("vmstat", &format!("pgfault 1\npgmajfault {steal}\n"));
    }

    fn process(&self, pid: u32, name: &str, command: &str, born: u64, cpu: u64, pages: u64) {
        self.faulting(pid, name, command, [born, cpu, pages, 0]);
    }

    /// When it was born, its ticks of CPU, its pages, and those that came from a disk.
    fn faulting(&self, pid: u32, name: &str, command: &str, numbers: [u64; 4]) {
        let [born, cpu, pages, faults] = numbers;
        let zeros = "0 0 0 0 0 0 0 0";
        let rest = format!("{cpu} 0 0 0 20 0 3 0 {born} 0 {pages} 0");
        let line = format!("{pid} ({name}) S {zeros} {faults} 0 {rest}\n");
        self.file(&format!("{pid}/stat"), &line);
        self.file(&format!("{pid}/cmdline"), command);
    }

    fn end(&self, pid: u32) {
        remove_dir_all(self.folder.path().join("proc").join(pid.to_string())).unwrap();
    }

    fn sampler(&self, top: usize, runtime_pids: &RuntimePids) -> Sampler {
        let config = Config { top, runtime_pids: runtime_pids.clone(), ..Config::default() };
        let begin = Begin { own_pid: OWN_PID, now: self.start, gpus: no_gpus };
        Sampler::at(Roots::below(self.folder.path()), UNITS, config, begin)
    }

    fn after(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }
}

fn process(sample: &Sample, pid: u32) -> &ProcessSample {
    sample.processes.iter().find(|process| process.pid == pid).unwrap()
}

fn pids(sample: &Sample) -> Vec<u32> {
    sample.processes.iter().map(|process| process.pid).collect()
}

#[test]
fn rates_are_of_the_time_between_two_samples() {
    let machine = FakeMachine::new();
    let mut sampler = machine.sampler(10, &RuntimePids::default());
    machine.host(300, 100);
    let host = sampler.sample_at(machine.after(2), 77).host.unwrap();
    assert_eq!((host.time_ns, host.cpu_count), (77, 4));
    assert_eq!((host.cpu_busy_cores, host.cpu_steal_cores), (2.0, Some(0.5)));
    assert_eq!((host.memory_total_bytes, host.memory_used_bytes), (8000 << 10, 2000 << 10));
    assert_eq!(host.disk_read_bytes_per_s, Some(300.0 * 512.0 / 2.0));
    assert_eq!(host.disk_write_bytes_per_s, Some(100.0 * 512.0 / 2.0));
    let network = (host.network_receive_bytes_per_s, host.network_send_bytes_per_s);
    assert_eq!(network, (Some(150.0), Some(50.0)));
    assert_eq!(host.major_faults_per_s, Some(50.0));
    assert_eq!((host.cpu_user_cores, host.cpu_system_cores), (Some(1.5), Some(0.0)));
}

#[test]
fn pressure_and_swapping_are_shares_and_rates_and_unknown_where_the_kernel_is_silent() {
    let machine = FakeMachine::new();
    let mut sampler = machine.sampler(10, &RuntimePids::default());
    let host = sampler.sample_at(machine.after(1), 1).host.unwrap();
    assert_eq!((host.memory_pressure, host.swap_in_bytes_per_s), (None, None));
    assert_eq!((host.cpu_throttled, host.oom_kills, host.load_1m), (None, None, None));

    let count = |some: u64, full: u64, pages: u64, kills: u64| {
        let averages = "avg10=0.00 avg60=0.00 avg300=0.00";
        for of in ["cpu", "memory", "io"] {
            let text = format!("some {averages} total={some}\nfull {averages} total={full}\n");
            machine.file(&format!("pressure/{of}"), &text);
        }
        machine.file("vmstat", &format!("pswpin {pages}\npswpout 5\noom_kill {kills}\n"));
    };
    count(1_000_000, 10, 100, 3);
    machine.file("loadavg", "1.25 0.9 0.5 2/300 4711\n");
    sampler.sample_at(machine.after(2), 2);
    count(1_500_000, 250_010, 110, 4);
    let host = sampler.sample_at(machine.after(3), 3).host.unwrap();
    assert_eq!((host.memory_pressure, host.memory_stall), (Some(0.5), Some(0.25)));
    assert_eq!((host.io_pressure, host.cpu_pressure), (Some(0.5), Some(0.5)));
    assert_eq!(host.swap_in_bytes_per_s, Some(40_960.0));
    assert_eq!((host.swap_out_bytes_per_s, host.oom_kills), (Some(0.0), Some(1)));
    assert_eq!(host.load_1m, Some(1.25));
}

#[test]
fn counters_that_go_back_and_two_samples_at_once_give_no_wild_rates() {
    let machine = FakeMachine::new();
    machine.host(1000, 1000);
    let mut sampler = machine.sampler(10, &RuntimePids::default());
    machine.host(10, 10);
    let host = sampler.sample_at(machine.after(1), 0).host.unwrap();
    assert_eq!((host.cpu_busy_cores, host.disk_read_bytes_per_s), (0.0, Some(0.0)));
    machine.host(1_000_000, 10);
    let host = sampler.sample_at(machine.after(1), 0).host.unwrap();
    assert_eq!(host.cpu_busy_cores, 4.0);
}

#[test]
fn a_cgroup_s_limits_replace_the_machine_s() {
    let machine = FakeMachine::new();
    machine.file("self/cgroup", "0::/\n");
    machine.cgroup_file("cpu.max", "150000 100000\n");
    machine.cgroup_file("cpu.stat", "usage_usec 1000000\n");
    machine.cgroup_file("memory.max", "4096000\n");
    machine.cgroup_file("memory.current", "3000000\n");
    machine.cgroup_file("memory.stat", "inactive_file 1000000\n");
    let mut sampler = machine.sampler(10, &RuntimePids::default());
    machine.host(400, 0);
    machine.cgroup_file("cpu.stat", "usage_usec 2250000\n");
    let host = sampler.sample_at(machine.after(1), 0).host.unwrap();
    assert_eq!((host.cpu_count, host.cpu_busy_cores), (2, 1.25));
    assert_eq!((host.memory_total_bytes, host.memory_used_bytes), (4_096_000, 2_000_000));
}

#[test]
fn the_busiest_and_the_largest_are_reported_and_those_with_a_role_always() {
    let machine = FakeMachine::new();
    for pid in 1..=20 {
        machine.process(pid, "idle", "idle", 5, 0, u64::from(pid) * 1000);
    }
    machine.process(30, "busy", "busy\0--token\0abc", 5, 0, 1);
    machine.process(31, "ollama", "/usr/bin/ollama\0serve", 5, 0, 1);
    machine.process(32, "child", "child", 5, 0, 1);
    let runtime_pids = RuntimePids::default();
    runtime_pids.set(&[32]);
    let mut sampler = machine.sampler(2, &runtime_pids);
    machine.process(30, "busy", "busy\0--token\0abc", 5, 90, 1);
    let sample = sampler.sample_at(machine.after(1), 0);
    assert_eq!(pids(&sample), [19, 20, 30, 31, 32, OWN_PID]);
    let busy = process(&sample, 30);
    assert_eq!((busy.cpu_cores, busy.threads, busy.rss_bytes), (0.9, 3, 4096));
    assert_eq!(busy.command, "busy --token ***");
    assert_eq!(busy.started_ns, 1_764_000_000_050_000_000);
    assert_eq!((busy.read_bytes_per_s, busy.role.as_deref()), (None, None));
    assert_eq!(process(&sample, OWN_PID).role.as_deref(), Some("andon"));
    assert_eq!(process(&sample, 31).role.as_deref(), Some("runtime"));
    assert_eq!(process(&sample, 32).role.as_deref(), Some("runtime"));
}

#[test]
fn one_that_does_not_change_is_reported_again_only_after_a_while() {
    let machine = FakeMachine::new();
    machine.process(1, "large", "large", 5, 0, 100_000);
    let mut sampler = machine.sampler(5, &RuntimePids::default());
    assert_eq!(pids(&sampler.sample_at(machine.after(1), 0)), [1, OWN_PID]);
    assert_eq!(pids(&sampler.sample_at(machine.after(2), 0)), [OWN_PID]);
    machine.process(1, "large", "large", 5, 0, 100_300);
    assert_eq!(pids(&sampler.sample_at(machine.after(3), 0)), [1, OWN_PID]);
    assert_eq!(pids(&sampler.sample_at(machine.after(4), 0)), [OWN_PID]);
    assert_eq!(pids(&sampler.sample_at(machine.after(40), 0)), [1, OWN_PID]);
}

#[test]
fn coming_to_rest_is_reported_even_by_one_that_is_no_longer_among_the_top() {
    let machine = FakeMachine::new();
    for pid in 1..=3 {
        machine.process(pid, "large", "large", 5, 0, 100_000);
    }
    machine.process(9, "burst", "burst", 5, 0, 1);
    let mut sampler = machine.sampler(1, &RuntimePids::default());
    machine.process(9, "burst", "burst", 5, 50, 1);
    assert_eq!(process(&sampler.sample_at(machine.after(1), 0), 9).cpu_cores, 0.5);
    assert_eq!(process(&sampler.sample_at(machine.after(2), 0), 9).cpu_cores, 0.0);
    assert!(!pids(&sampler.sample_at(machine.after(3), 0)).contains(&9));
}

#[test]
fn a_number_used_again_is_a_new_process() {
    let machine = FakeMachine::new();
    machine.process(9, "old", "old", 5, 5000, 10);
    let mut sampler = machine.sampler(5, &RuntimePids::default());
    assert_eq!(process(&sampler.sample_at(machine.after(1), 0), 9).name, "old");
    machine.process(9, "new", "new\0x", 700, 30, 10);
    let sample = sampler.sample_at(machine.after(2), 0);
    let new = process(&sample, 9);
    assert_eq!((new.name.as_str(), new.command.as_str()), ("new", "new x"));
    // All it ever used, not the difference to the old one.
    assert_eq!((new.cpu_cores, new.started_ns), (0.3, 1_764_000_007_000_000_000));
    machine.end(9);
    assert!(!pids(&sampler.sample_at(machine.after(3), 0)).contains(&9));
}

#[test]
fn identity_survives_a_wall_clock_that_is_set() {
    let machine = FakeMachine::new();
    let mut sampler = machine.sampler(5, &RuntimePids::default());
    let before = process(&sampler.sample_at(machine.after(1), 0), OWN_PID).started_ns;
    machine.file("stat", "cpu 0 0 0 0\ncpu0 0\nbtime 1764009999\n");
    assert_eq!(process(&sampler.sample_at(machine.after(2), 0), OWN_PID).started_ns, before);
}

#[test]
fn a_process_that_becomes_a_runtime_is_seen_as_one() {
    let machine = FakeMachine::new();
    let mut sampler = machine.sampler(0, &RuntimePids::default());
    machine.process(9, "andon", "andon\0up", 5, 0, 10);
    assert_eq!(pids(&sampler.sample_at(machine.after(1), 0)), [OWN_PID]);
    machine.process(9, "andon", "andon\0runtime", 5, 0, 10);
    let sample = sampler.sample_at(machine.after(2), 0);
    assert_eq!(process(&sample, 9).role.as_deref(), Some("runtime"));
    assert_eq!(process(&sample, 9).command, "andon runtime");
}

#[test]
fn disk_traffic_of_a_process_is_known_from_the_second_report_on() {
    let machine = FakeMachine::new();
    let mut sampler = machine.sampler(5, &RuntimePids::default());
    machine.file("100/io", "read_bytes: 0\nwrite_bytes: 4096\n");
    assert_eq!(process(&sampler.sample_at(machine.after(1), 0), OWN_PID).read_bytes_per_s, None);
    machine.file("100/io", "read_bytes: 1000\nwrite_bytes: 8192\n");
    let sample = sampler.sample_at(machine.after(3), 0);
    assert_eq!(process(&sample, OWN_PID).read_bytes_per_s, Some(500.0));
    assert_eq!(process(&sample, OWN_PID).write_bytes_per_s, Some(2048.0));
}

#[test]
fn major_faults_of_a_process_are_those_between_two_looks() {
    let machine = FakeMachine::new();
    machine.faulting(7, "reader", "reader", [5, 0, 1_000, 400]);
    let mut sampler = machine.sampler(5, &RuntimePids::default());
    machine.faulting(7, "reader", "reader", [5, 0, 1_000, 500]);
    machine.faulting(8, "young", "young", [105, 0, 1_000, 30]);
    let sample = sampler.sample_at(machine.after(2), 0);
    assert_eq!(process(&sample, 7).major_faults_per_s, Some(50.0));
    assert_eq!(process(&sample, 8).major_faults_per_s, Some(15.0));
    assert_eq!(process(&sample, OWN_PID).major_faults_per_s, Some(0.0));
    assert_eq!(process(&sample, 7).gpu_memory_bytes, None);
}

#[test]
fn parts_of_the_machine_are_in_a_sample_from_the_second_look_on() {
    let machine = FakeMachine::new();
    machine.file("stat", "cpu 0\ncpu0 10 0 0 10\ncpu1 5 0 0 5\nbtime 1764000000\n");
    let mut sampler = machine.sampler(5, &RuntimePids::default());
    machine.file("stat", "cpu 0\ncpu0 60 0 0 60\ncpu1 5 0 0 105\nbtime 1764000000\n");
    let devices = sampler.sample_at(machine.after(1), 5).devices;
    let said: Vec<_> = devices.iter().map(|it| (it.id.as_str(), it.utilization)).collect();
    assert_eq!(said, [("cpu0", Some(0.5)), ("cpu1", Some(0.0))]);
    assert_eq!(devices[0].time_ns, 5);
}

/// A driver with one GPU, on which process 9 holds memory.
#[derive(Debug)]
struct OneGpu;

impl Driver for OneGpu {
    fn count(&mut self) -> Result<u32, Failure> {
        Ok(1)
    }

    fn card(&mut self, _: u32) -> Result<Card, Failure> {
        Ok(Card { uuid: "GPU-1".to_owned(), ..Card::default() })
    }

    fn reading(&mut self, _: u32) -> Result<Reading, Failure> {
        Ok(Reading { busy_percent: Some(50), ..Reading::default() })
    }

    fn memory(&mut self, _: u32) -> Result<Vec<(u32, u64)>, Failure> {
        Ok(vec![(9, 7 << 30)])
    }
}

#[test]
fn whoever_holds_memory_of_a_gpu_is_reported() {
    let machine = FakeMachine::new();
    machine.process(8, "small", "small", 5, 0, 10);
    machine.process(9, "tiny", "tiny", 5, 0, 1);
    let begin = Begin { own_pid: OWN_PID, now: machine.start, gpus: || Ok(Box::new(OneGpu)) };
    let config = Config { top: 0, ..Config::default() };
    let mut sampler = Sampler::at(Roots::below(machine.folder.path()), UNITS, config, begin);
    let sample = sampler.sample_at(machine.after(1), 0);
    assert_eq!(pids(&sample), [9, OWN_PID]);
    assert_eq!(process(&sample, 9).gpu_memory_bytes, Some(7 << 30));
    assert_eq!(process(&sample, OWN_PID).gpu_memory_bytes, None);
    assert_eq!(sample.devices[0].id, "GPU-1");
}

#[test]
fn broken_files_of_one_process_hide_only_that_one() {
    let machine = FakeMachine::new();
    machine.file("9/stat", "9 (half a li");
    machine.file("10/stat", "");
    machine.file("4294967296/stat", "no pid");
    let mut sampler = machine.sampler(5, &RuntimePids::default());
    assert_eq!(pids(&sampler.sample_at(machine.after(1), 0)), [OWN_PID]);
}

#[test]
fn without_proc_a_sample_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let begin = Begin { own_pid: 1, now: Instant::now(), gpus: no_gpus };
    let mut sampler = Sampler::at(Roots::below(folder.path()), UNITS, Config::default(), begin);
    let sample = sampler.sample();
    assert_eq!((sample.host, sample.processes, sample.processes_left_out), (None, vec![], 0));
    assert_eq!(sample.devices, []);
}

#[test]
fn one_that_slept_long_loses_no_cpu_time_when_it_wakes() {
    let machine = FakeMachine::new();
    let mut sampler = machine.sampler(10, &RuntimePids::default());
    let sleepers = [200, 201];
    let set = |cpu: u64| sleepers.map(|pid| machine.process(pid, "nap", "nap", 20, cpu, 50));
    set(500);
    for second in 1..=20 {
        sampler.sample_at(machine.after(second), second);
    }
    // Half a core for two seconds. One is read after the first of them, and speaks then of the second
    // before it as well; the other is read after both.
    let mut used = [0.0; 2];
    for second in 21..=24 {
        set(500 + 50 * (second - 20).min(2));
        let sample = sampler.sample_at(machine.after(second), second);
        for (used, pid) in used.iter_mut().zip(sleepers) {
            let seen = sample.processes.iter().find(|process| process.pid == pid);
            let cores = seen.map_or(0.0, |process| process.cpu_cores);
            assert!(cores <= 0.5, "{cores}");
            *used += cores;
        }
    }
    assert_eq!(used, [0.25 + 0.5, 0.5]);
}
