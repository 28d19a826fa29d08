//! When traces begin: more by day than by night, fewest at the weekend, sometimes in a burst; and
//! when things go wrong.
//!
//! The weight of a minute follows from the minute and the seed alone. So the moment at which the
//! n-th of N spans is due can be found by walking the minutes once, forwards, without remembering
//! any of them.

use andon_model::UnixNanos;

use crate::random::{Random, scatter};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;
/// Where the users live is nine hours ahead of UTC.
const LOCAL_OFFSET: u64 = 9 * 60 * MINUTE;
const MAX_DAYS: u64 = 3_650;

/// Weight of each local hour; the minutes between lie on a straight line.
const HOURS: [u64; 24] = [
    12, 8, 6, 5, 5, 7, 14, 28, 52, 84, 104, 116, 132, 114, 104, 100, 96, 88, 74, 66, 58, 46, 32, 20,
];
/// Per cent, from Thursday on, which the first of January 1970 was.
const WEEKDAYS: [u64; 7] = [100, 92, 55, 48, 102, 106, 104];
/// A minute in so many is a burst, and so many times as busy.
const BURST_ODDS: u64 = 150;
const BURST_FACTOR: u64 = 3;

const INCIDENT_EVERY_DAYS: u64 = 10;
const INCIDENT_LENGTH: u64 = 40 * MINUTE;

/// What it was like at the moment when a trace began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at_ns: UnixNanos,
    /// How much is going on, in per cent of a noon on a weekday.
    pub(crate) load: u64,
    pub(crate) incident: bool,
    /// Until the end of all data.
    pub(crate) left_ns: u64,
}

/// A clock that is asked for one moment after the other.
pub(crate) struct Rhythm {
    begin_ns: UnixNanos,
    end_ns: UnixNanos,
    seed: u64,
    minutes: u64,
    total_weight: u64,
    minute: u64,
    /// Weight of all minutes before this one.
    weight_before: u64,
}

impl Rhythm {
    pub(crate) fn new(end_ns: UnixNanos, days: u32, seed: u64) -> Self {
        let days = u64::from(days).clamp(1, MAX_DAYS);
        // Room for sums beyond the end.
        let end_ns = end_ns.min(u64::MAX - DAY);
        let begin_ns = end_ns.saturating_sub(days * DAY);
        let minutes = (end_ns - begin_ns) / MINUTE;
        let mut rhythm = Self {
            begin_ns,
            end_ns,
            seed: scatter(seed),
            minutes,
            total_weight: 0,
            minute: 0,
            weight_before: 0,
        };
        rhythm.total_weight = (0..minutes).map(|minute| rhythm.weight(minute)).sum();
        rhythm
    }

    /// Length of all data.
    pub(crate) fn length_ns(&self) -> u64 {
        self.end_ns - self.begin_ns
    }

    /// The moment at which `done` of `all` spans are there, from call to call a later one. A trace
    /// begins somewhere in the time that is due to the one before, which had `before` spans.
    pub(crate) fn moment(
        &mut self,
        random: &mut Random,
        done: u64,
        before: u64,
        all: u64,
    ) -> Moment {
        let steps = (u128::from(done) << 8) - u128::from(random.below(before << 8));
        // 48 bits after the point: a microsecond of ten years.
        let share = (steps << 40) / u128::from(all.max(1));
        let due = u128::from(self.total_weight) * share;
        let weight = loop {
            let weight = self.weight(self.minute);
            let until = u128::from(self.weight_before + weight) << 48;
            if due < until || self.minute + 1 >= self.minutes {
                break weight;
            }
            self.minute += 1;
            self.weight_before += weight;
        };
        let rest = due.saturating_sub(u128::from(self.weight_before) << 48);
        let within = ((rest * u128::from(MINUTE) / u128::from(weight)) >> 48) as u64;
        let at_ns = (self.begin_ns + self.minute * MINUTE + within).min(self.end_ns);
        Moment {
            at_ns,
            load: weight,
            incident: self.is_incident(at_ns),
            left_ns: self.end_ns - at_ns,
        }
    }

    fn weight(&self, minute: u64) -> u64 {
        let local = (self.begin_ns + minute * MINUTE).saturating_add(LOCAL_OFFSET);
        let hour = (local / (60 * MINUTE) % 24) as usize;
        let into_hour = local / MINUTE % 60;
        let level = HOURS[hour] * (60 - into_hour) + HOURS[(hour + 1) % 24] * into_hour;
        let weekday = WEEKDAYS[(local / DAY % 7) as usize];
        let noise = scatter(self.seed ^ minute);
        let burst = if noise.is_multiple_of(BURST_ODDS) { BURST_FACTOR } else { 1 };
        let ripple = 80 + (noise >> 32) % 41;
        (level * weekday * ripple * burst / 600_000).max(1)
    }

    /// Each stretch of about ten days has one incident, in the office hours of one of its days; a
    /// shorter time has one too.
    pub(crate) fn is_incident(&self, at_ns: UnixNanos) -> bool {
        let stretches = (self.length_ns() / (INCIDENT_EVERY_DAYS * DAY)).max(1);
        let stretch_ns = (self.length_ns() / stretches).max(1);
        let stretch = at_ns.saturating_sub(self.begin_ns) / stretch_ns;
        let draw = scatter(self.seed ^ !stretch);
        let near = self.begin_ns + stretch * stretch_ns + stretch_ns / 100 * (20 + draw % 60);
        let midnight = (near.saturating_add(LOCAL_OFFSET) / DAY * DAY).saturating_sub(LOCAL_OFFSET);
        let from = midnight + (9 * 60 + (draw >> 32) % 480) * MINUTE;
        let from = if from < self.begin_ns { from + DAY } else { from };
        (from..from + INCIDENT_LENGTH).contains(&at_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Monday in Tokyo, midnight.
    const MONDAY: UnixNanos = 1_782_054_000 * SECOND;

    fn moments(days: u32, count: u64) -> Vec<Moment> {
        let mut rhythm = Rhythm::new(MONDAY, days, 5);
        let mut random = Random::new(5, 0);
        (0..count).map(|done| rhythm.moment(&mut random, done, done.min(1), count)).collect()
    }

    #[test]
    fn moments_rise_and_fill_the_whole_range() {
        let moments = moments(7, 20_000);
        assert!(moments.is_sorted_by_key(|moment| moment.at_ns));
        assert_eq!(moments[0].at_ns, MONDAY - 7 * DAY);
        assert!(moments[19_999].left_ns < 15 * MINUTE);
    }

    #[test]
    fn noon_is_busy_night_is_not_and_sunday_is_half_a_weekday() {
        let (mut hours, mut days) = ([0_u64; 24], [0_u64; 7]);
        for moment in moments(28, 200_000) {
            let local = moment.at_ns + LOCAL_OFFSET;
            hours[(local / (60 * MINUTE) % 24) as usize] += 1;
            days[(local / DAY % 7) as usize] += 1;
        }
        assert!(hours[12] > 10 * hours[3], "{hours:?}");
        assert!(hours[11] + hours[12] > hours[13] + hours[14], "{hours:?}");
        let (sunday, tuesday) = (days[3], days[5]);
        assert!((35..60).contains(&(100 * sunday / tuesday)), "{days:?}");
    }

    #[test]
    fn ten_days_have_one_incident_of_forty_minutes() {
        for (days, incidents) in [(1, 1), (3, 1), (10, 1), (30, 3)] {
            let rhythm = Rhythm::new(MONDAY, days, 77);
            let minutes = (0..rhythm.minutes)
                .filter(|minute| rhythm.is_incident(rhythm.begin_ns + minute * MINUTE));
            assert_eq!(minutes.count(), 40 * incidents, "{days} days");
        }
    }

    #[test]
    fn no_range_is_too_short_or_too_long() {
        for (end, days) in [(0, 0), (1, 1), (u64::MAX, u32::MAX), (MINUTE, 1)] {
            let mut rhythm = Rhythm::new(end, days, 1);
            let moment = rhythm.moment(&mut Random::new(1, 1), 9, 4, 10);
            assert!(moment.at_ns <= end);
        }
    }
}
