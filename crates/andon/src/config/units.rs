//! Sizes and times as people write them: `64MiB`, `1.5GiB`, `500ms`, `30d`.

use std::time::Duration;

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Bytes; `None` where it is no size. Without a unit it is bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let known = |(name, _): &&(&str, u64)| name.eq_ignore_ascii_case(unit);
    let factor = if unit.is_empty() { 1 } else { SIZES.iter().find(known)?.1 };
    whole(number, factor)
}

/// `None` where it is no time. Without a unit it is seconds.
pub(super) fn parse_time(text: &str) -> Option<Duration> {
    let (number, unit) = split(text);
    let unit = if unit.is_empty() { "s" } else { unit };
    let (_, factor) = TIMES.iter().find(|(name, _)| *name == unit)?;
    whole(number, *factor).map(Duration::from_millis)
}

/// In the largest unit that leaves a whole number.
pub(super) fn size_text(bytes: u64) -> String {
    let binary = &SIZES[..4];
    let unit = binary.iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size));
    unit.map_or(format!("{bytes}B"), |(name, size)| format!("{}{name}", bytes / size))
}

pub(super) fn time_text(time: Duration) -> String {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let unit = TIMES.iter().find(|(_, size)| millis > 0 && millis.is_multiple_of(*size));
    unit.map_or("0s".to_owned(), |(name, size)| format!("{}{name}", millis / size))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let number = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    (number.trim_end(), &text[number.len()..])
}

/// The product, where it is a whole number that fits.
fn whole(number: &str, factor: u64) -> Option<u64> {
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let product = number.parse::<f64>().ok().filter(|_| plain)? * factor as f64;
    // Beyond 2^53 a float does not know whole numbers; nobody has so many bytes.
    (product.fract() == 0.0 && product <= 9e15).then_some(product as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back_the_same() {
        for bytes in [1, 512, 1 << 10, 1_000_000, (1 << 20) + 1, 3 << 30, 16 << 40] {
            assert_eq!(parse_size(&size_text(bytes)), Some(bytes), "{bytes}");
        }
        for millis in [1, 100, 1_500, 60_000, 86_400_000 * 30] {
            let time = Duration::from_millis(millis);
            assert_eq!(parse_time(&time_text(time)), Some(time), "{millis}");
        }
        assert_eq!(
            (size_text(16 << 20), time_text(Duration::from_secs(5_400))),
            ("16MiB".into(), "90m".into())
        );
    }

    #[test]
    fn what_is_no_size_or_time_is_none() {
        assert_eq!((parse_size("1.5GiB"), parse_size(" 64 mib ")), (Some(3 << 29), Some(64 << 20)));
        assert_eq!((parse_size("2GB"), parse_size("7")), (Some(2_000_000_000), Some(7)));
        for bad in ["", "MiB", "1 apple", "-1MiB", "1e3", "nan", "1.5B", "99999999TiB", "1..2MiB"] {
            assert_eq!(parse_size(bad), None, "{bad:?}");
        }
        assert_eq!(parse_time("1.5h"), Some(Duration::from_secs(5_400)));
        for bad in ["", "d", "30 days", "-1s", "0.5ms", "1y", "s"] {
            assert_eq!(parse_time(bad), None, "{bad:?}");
        }
    }
}
