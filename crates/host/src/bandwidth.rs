//! How many bytes a second come from the memory of this machine.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Larger than the caches of all but the largest machines.
const BYTES: usize = 512 << 20;
/// Of what is free, at most.
const OF_FREE: u64 = 4;
/// Anything but zero, of which the kernel has one page for all.
const FILL: u8 = 0x11;

/// The most bytes a second that `threads` together read within `time`, each a part of its own; `None`
/// where less memory is free than a measurement needs. Reads alone: weights are only read.
pub fn memory_bytes_per_s(threads: usize, time: Duration) -> Option<f64> {
    let free = crate::machine().memory_available.unwrap_or(u64::MAX);
    let bytes = BYTES.min(usize::try_from(free / OF_FREE).unwrap_or(BYTES));
    if bytes < BYTES / 8 { None } else { Some(fastest_read(bytes, threads.max(1), time)) }
}

fn fastest_read(bytes: usize, threads: usize, time: Duration) -> f64 {
    let half = (bytes / threads / 2).max(1);
    let parts: Vec<_> = (0..threads).map(|_| (vec![FILL; half], vec![FILL; half])).collect();
    let begin = Instant::now();
    let mut best = 0.0_f64;
    while best == 0.0 || begin.elapsed() < time {
        let since = Instant::now();
        std::thread::scope(|scope| {
            for (one, other) in &parts {
                // The C library compares as fast as memory gives, however this is compiled.
                scope.spawn(move || black_box(black_box(one) == black_box(other)));
            }
        });
        let read = (2 * half * threads) as f64;
        best = best.max(read / since.elapsed().as_secs_f64().max(f64::MIN_POSITIVE));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_reads_its_memory() {
        let bytes = fastest_read(1 << 20, 2, Duration::ZERO);
        assert!(bytes > 1e7 && bytes.is_finite(), "{bytes}");
    }
}
