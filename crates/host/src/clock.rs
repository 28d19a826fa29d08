//! Whether the wall clock can be believed: traces of a machine that thinks it is 1970 cannot be
//! found again, and a clock that jumps tears spans of two machines apart.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// 2025-01-01: before any release of Andon.
const EARLIEST_S: u64 = 1_735_689_600;

/// 2100-01-01.
const LATEST_S: u64 = 4_102_444_800;

/// The two clocks may part so much before it is called a jump: slewing by a time service moves
/// them by less.
const ALLOWED_DRIFT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    Good,
    /// The date cannot be right. `unix_s` is what the clock says.
    Implausible {
        unix_s: u64,
    },
    /// Since the first check the wall clock went so much further than the monotonic one: it was
    /// set, or the machine slept.
    AheadOfMonotonic {
        by: Duration,
    },
    /// The wall clock was set back.
    BehindMonotonic {
        by: Duration,
    },
}

/// Compares the wall clock with the calendar and with the monotonic clock. The first call of a
/// process begins the comparison, so call it at start.
pub fn clock_check() -> ClockState {
    static START: OnceLock<(Instant, SystemTime)> = OnceLock::new();
    let (instant, wall) = *START.get_or_init(|| (Instant::now(), SystemTime::now()));
    judge(wall, SystemTime::now(), instant.elapsed())
}

fn judge(start: SystemTime, now: SystemTime, elapsed: Duration) -> ClockState {
    let unix_s = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    if !(EARLIEST_S..LATEST_S).contains(&unix_s) {
        return ClockState::Implausible { unix_s };
    }
    let expected = start.checked_add(elapsed).unwrap_or(start);
    match now.duration_since(expected) {
        Ok(by) if by > ALLOWED_DRIFT => ClockState::AheadOfMonotonic { by },
        Ok(_) => ClockState::Good,
        Err(earlier) if earlier.duration() > ALLOWED_DRIFT => {
            ClockState::BehindMonotonic { by: earlier.duration() }
        }
        Err(_) => ClockState::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_jumps_are_judged() {
        let start = UNIX_EPOCH + Duration::from_secs(EARLIEST_S + 1000);
        let second = Duration::from_secs(1);
        assert_eq!(judge(start, start + second, second), ClockState::Good);
        assert_eq!(
            judge(start, start + 60 * second, second),
            ClockState::AheadOfMonotonic { by: 59 * second }
        );
        assert_eq!(
            judge(start, start - 60 * second, second),
            ClockState::BehindMonotonic { by: 61 * second }
        );
        assert_eq!(
            judge(UNIX_EPOCH, UNIX_EPOCH + second, second),
            ClockState::Implausible { unix_s: 1 }
        );
        assert_eq!(
            judge(start, UNIX_EPOCH - second, second),
            ClockState::Implausible { unix_s: 0 }
        );
    }

    #[test]
    fn this_machine_s_clock_does_not_part_from_itself() {
        clock_check();
        let state = clock_check();
        assert!(matches!(state, ClockState::Good | ClockState::Implausible { .. }), "{state:?}");
    }
}
