//! Looks at the machine once a second and says what that cost: `collect SECONDS` prints
//! `{"looks", "processes", "cpu_ns", "rss_before", "rss_after"}`, bytes and nanoseconds. For
//! `make bench`, which puts some hundred processes beside it.
#![expect(clippy::print_stdout, reason = "the result")]

use std::time::Duration;

use andon_host::{Config, Sampler};

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(60);
    let before = rss();
    let mut sampler = Sampler::new(Config::default());
    let (begun, mut processes) = (cpu_ns(), 0);
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        processes += sampler.sample().processes.len();
    }
    let (cpu_ns, after) = (cpu_ns() - begun, rss());
    println!(
        r#"{{"looks":{seconds},"processes":{processes},"cpu_ns":{cpu_ns},"rss_before":{before},"rss_after":{after}}}"#
    );
}

/// Of this thread, the only one (<https://docs.kernel.org/scheduler/sched-stats.html>).
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

fn rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
