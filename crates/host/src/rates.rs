//! From counters to rates.

use std::time::Duration;

/// A sample sooner than this after the last one is reckoned as if so much time had gone by: the
/// kernel counts CPU time in steps of 10 ms, and one step over a microsecond is no rate.
const SHORTEST: Duration = Duration::from_millis(100);

/// Time between two samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Elapsed {
    seconds: f64,
}

impl Elapsed {
    pub(crate) fn new(elapsed: Duration) -> Self {
        Self { seconds: elapsed.max(SHORTEST).as_secs_f64() }
    }

    /// Per second. A counter that went back (a disk pulled out, an interface made anew) reads as
    /// no traffic.
    pub(crate) fn rate(self, before: u64, now: u64) -> f64 {
        now.saturating_sub(before) as f64 / self.seconds
    }

    /// Of the time, 0 to 1, for a counter of microseconds.
    pub(crate) fn share(self, before_us: u64, now_us: u64) -> f64 {
        (self.rate(before_us, now_us) / 1e6).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_and_never_negative_or_endless() {
        let elapsed = Elapsed::new(Duration::from_secs(2));
        assert_eq!(elapsed.rate(100, 300), 100.0);
        assert_eq!(elapsed.rate(300, 100), 0.0);
        assert_eq!(elapsed.share(0, 500_000), 0.25);
        assert_eq!(elapsed.share(0, 5_000_000), 1.0);
        assert_eq!(Elapsed::new(Duration::ZERO).rate(0, 1), 10.0);
    }
}
