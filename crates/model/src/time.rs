//! Points in time: UTC nanoseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// UTC nanoseconds since the Unix epoch; good until the year 2554.
pub type UnixNanos = u64;

/// Now on the wall clock. A clock before 1970 reads as 0.
pub(crate) fn now() -> UnixNanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}
