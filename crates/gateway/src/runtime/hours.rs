//! Hours of a week, by the clock of a place.

use andon_model::UnixNanos;
use jiff::{Timestamp, civil, fmt::temporal::DateTimeParser, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Hours of some days, or of all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "WrittenHours", into = "WrittenHours")]
pub struct Hours {
    written: WrittenHours,
    from: civil::Time,
    to: civil::Time,
    zone: TimeZone,
}

/// [`Hours`] as people write them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Hours)]
pub struct WrittenHours {
    /// `08:00`.
    from: String,
    /// `18:30`. At or before `from`: of the next day.
    to: String,
    /// The days on which they begin, 1 for Monday to 7 for Sunday; none named: all.
    #[serde(default)]
    days: Vec<i8>,
    /// Whose clock it is: `Asia/Tokyo`, or a distance from UTC such as `+09:00`.
    time_zone: String,
}

/// What cannot be read of hours, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    #[error("hours.{field}: {text:?} is no time such as 08:00")]
    Time { field: &'static str, text: String },
    #[error("hours.days: {0} is none of 1 (Monday) to 7 (Sunday)")]
    Day(i8),
    #[error(
        "hours.time_zone: {0:?} is neither known to this machine nor a distance such as +09:00"
    )]
    Zone(String),
}

impl TryFrom<WrittenHours> for Hours {
    type Error = HoursError;

    fn try_from(written: WrittenHours) -> Result<Self, HoursError> {
        let time = |field, text: &str| {
            let error = || HoursError::Time { field, text: text.to_owned() };
            // What is read would otherwise also be `08`, or a time within a date.
            let is_short = text.len() == 5 && text.as_bytes()[2] == b':';
            text.parse().ok().filter(|_| is_short).ok_or_else(error)
        };
        let (from, to) = (time("from", &written.from)?, time("to", &written.to)?);
        if let Some(day) = written.days.iter().find(|day| !(1..=7).contains(*day)) {
            return Err(HoursError::Day(*day));
        }
        let zone = DateTimeParser::new().parse_time_zone(&written.time_zone);
        let zone = zone.map_err(|_| HoursError::Zone(written.time_zone.clone()))?;
        Ok(Self { written, from, to, zone })
    }
}

impl From<Hours> for WrittenHours {
    fn from(hours: Hours) -> Self {
        hours.written
    }
}

impl PartialEq for Hours {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Hours {}

impl Hours {
    /// Whether a moment is among them.
    pub fn hold(&self, at_ns: UnixNanos) -> bool {
        let Ok(at) = Timestamp::from_nanosecond(i128::from(at_ns)) else { return false };
        let there = self.zone.to_datetime(at);
        let (time, day) = (there.time(), there.weekday());
        let is_of = |day: civil::Weekday| {
            let days = &self.written.days;
            days.is_empty() || days.contains(&day.to_monday_one_offset())
        };
        if self.from < self.to {
            return (self.from..self.to).contains(&time) && is_of(day);
        }
        // Over midnight: the evening of this day, or the morning after the day before.
        (time >= self.from && is_of(day)) || (time < self.to && is_of(day.previous()))
    }

    /// When those end that a moment is among; `None` where others follow at once.
    pub fn end(&self, at_ns: UnixNanos) -> Option<UnixNanos> {
        let there = self.zone.to_datetime(Timestamp::from_nanosecond(i128::from(at_ns)).ok()?);
        let is_today = self.from < self.to || there.time() < self.to;
        let day = if is_today { there.date() } else { there.date().tomorrow().ok()? };
        let end = self.zone.to_timestamp(day.to_datetime(self.to)).ok()?;
        let end_ns = u64::try_from(end.as_nanosecond()).ok()?;
        (!self.hold(end_ns)).then_some(end_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str, days: &[i8], zone: &str) -> Result<Hours, HoursError> {
        let (from, to, time_zone) = (from.to_owned(), to.to_owned(), zone.to_owned());
        WrittenHours { from, to, days: days.to_vec(), time_zone }.try_into()
    }

    fn hold(hours: &Hours, at: &str) -> bool {
        let at: Timestamp = at.parse().unwrap();
        hours.hold(u64::try_from(at.as_nanosecond()).unwrap())
    }

    #[test]
    fn hours_are_of_a_place_and_of_days() {
        let work = hours("08:00", "18:30", &[1, 2, 3, 4, 5], "+09:00").unwrap();
        // 2026-11-30 is a Monday.
        assert!(hold(&work, "2026-11-30T08:00:00+09:00"));
        assert!(hold(&work, "2026-11-30T09:29:59Z"));
        assert!(!hold(&work, "2026-11-30T18:30:00+09:00"));
        assert!(!hold(&work, "2026-11-29T12:00:00+09:00"), "a Sunday");
        let night = hours("22:00", "06:00", &[5], "UTC").unwrap();
        assert!(hold(&night, "2026-12-04T23:00:00Z"));
        assert!(hold(&night, "2026-12-05T05:59:00Z"), "the morning after");
        assert!(!hold(&night, "2026-12-05T23:00:00Z"));
        assert!(!hold(&night, "2026-12-04T05:00:00Z"));
        let always = hours("00:00", "00:00", &[], "UTC").unwrap();
        assert!(hold(&always, "2026-12-05T00:00:00Z") && hold(&always, "2026-12-05T23:59:59Z"));
    }

    #[test]
    fn they_end_on_the_day_that_they_reach_into() {
        let end = |hours: &Hours, at: &str| {
            let at: Timestamp = at.parse().unwrap();
            let end = hours.end(u64::try_from(at.as_nanosecond()).unwrap())?;
            Some(Timestamp::from_nanosecond(i128::from(end)).unwrap().to_string())
        };
        let work = hours("08:00", "18:30", &[], "+09:00").unwrap();
        assert_eq!(end(&work, "2026-11-30T00:00:00Z").as_deref(), Some("2026-11-30T09:30:00Z"));
        let night = hours("22:00", "06:00", &[5], "UTC").unwrap();
        assert_eq!(end(&night, "2026-12-04T23:00:00Z").as_deref(), Some("2026-12-05T06:00:00Z"));
        assert_eq!(end(&night, "2026-12-05T05:00:00Z").as_deref(), Some("2026-12-05T06:00:00Z"));
        let always = hours("00:00", "00:00", &[], "UTC").unwrap();
        assert_eq!(end(&always, "2026-12-05T05:00:00Z"), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = |from: &str, days: &[i8], zone: &str| {
            hours(from, "18:00", days, zone).unwrap_err().to_string()
        };
        assert!(error("8", &[], "UTC").starts_with("hours.from: \"8\""));
        assert!(error("25:00", &[], "UTC").starts_with("hours.from"));
        assert!(error("08:00", &[8], "UTC").starts_with("hours.days: 8"));
        assert!(error("08:00", &[], "Mars/Olympus").starts_with("hours.time_zone"));
    }

    #[test]
    fn they_are_read_as_they_were_written() {
        let text = r#"{"from":"08:00","to":"18:00","days":[1],"time_zone":"UTC"}"#;
        let read: Hours = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
