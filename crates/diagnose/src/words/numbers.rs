//! Numbers with their units, as the pages write them.

use super::Language;

/// In the words of one language.
#[derive(Clone, Copy)]
pub(crate) struct Numbers(pub(crate) Language);

struct Units {
    ms: &'static str,
    s: &'static str,
    min: &'static str,
    h: &'static str,
}

impl Numbers {
    fn units(self) -> Units {
        match self.0 {
            Language::Japanese => Units { ms: "ミリ秒", s: "秒", min: "分", h: "時間" },
            Language::English => Units { ms: "ms", s: "s", min: "min", h: "h" },
        }
    }

    /// About three figures: 840 µs, 12.4 ms, 1.24 s, 29.6 s, 1 min 27 s, 2 h 05 min.
    pub(crate) fn time(self, ns: u64) -> String {
        let Units { ms: milli, s, min, h } = self.units();
        let ms = ns as f64 / 1e6;
        let seconds = ms / 1e3;
        if ns == 0 {
            format!("0 {milli}")
        } else if ms < 0.9995 {
            format!("{:.0} µs", ms * 1e3)
        } else if ms < 9.995 {
            format!("{ms:.2} {milli}")
        } else if ms < 99.95 {
            format!("{ms:.1} {milli}")
        } else if ms < 999.5 {
            format!("{ms:.0} {milli}")
        } else if seconds < 9.995 {
            format!("{seconds:.2} {s}")
        } else if seconds < 59.95 {
            format!("{seconds:.1} {s}")
        } else if seconds.round() < 3600.0 {
            let whole = seconds.round() as u64;
            format!("{} {min} {:02} {s}", whole / 60, whole % 60)
        } else {
            let minutes = (seconds / 60.0).round() as u64;
            format!("{} {h} {:02} {min}", minutes / 60, minutes % 60)
        }
    }

    /// A limit that somebody set: 5 min, not 5 min 00 s.
    pub(crate) fn limit(self, ns: u64) -> String {
        let Units { s, min, h, .. } = self.units();
        let second = 1_000_000_000;
        match ns {
            _ if ns > 0 && ns.is_multiple_of(3600 * second) => {
                format!("{} {h}", ns / 3600 / second)
            }
            _ if ns > 0 && ns.is_multiple_of(60 * second) => format!("{} {min}", ns / 60 / second),
            _ if ns.is_multiple_of(second) => format!("{} {s}", ns / second),
            _ => self.time(ns),
        }
    }

    /// 0 to 1 as per cent.
    pub(crate) fn percent(self, share: f64) -> String {
        let digits = usize::from(share > 0.0 && share < 0.01);
        format!("{:.digits$} %", share * 100.0)
    }

    /// Bytes in binary units, as memory is counted.
    pub(crate) fn bytes(self, bytes: u64) -> String {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut size, mut unit) = (bytes as f64, 0);
        while size >= 1023.5 && unit < UNITS.len() - 1 {
            size /= 1024.0;
            unit += 1;
        }
        let digits = match size {
            _ if unit == 0 || size >= 99.95 => 0,
            _ if size >= 9.995 => 1,
            _ => 2,
        };
        format!("{size:.digits$} {}", UNITS[unit])
    }

    pub(crate) fn bytes_per_s(self, bytes: f64) -> String {
        format!("{}/{}", self.bytes(bytes.max(0.0) as u64), self.units().s)
    }

    /// 14,906.
    pub(crate) fn count(self, count: u64) -> String {
        let digits = count.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }

    /// Cores, or tokens a second: with a decimal below ten or so.
    pub(crate) fn figure(self, value: f64) -> String {
        match value {
            _ if value < 99.95 => format!("{value:.1}"),
            _ => self.count(value.round() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_on_the_pages() {
        let (en, ja) = (Numbers(Language::English), Numbers(Language::Japanese));
        for (ns, text) in [
            (840_000, "840 µs"),
            (12_400_000, "12.4 ms"),
            (1_240_000_000, "1.24 s"),
            (29_600_000_000, "29.6 s"),
            (87_000_000_000, "1 min 27 s"),
            (7_500_000_000_000, "2 h 05 min"),
        ] {
            assert_eq!(en.time(ns), text);
        }
        assert_eq!(ja.time(22_400_000_000), "22.4 秒");
        assert_eq!(
            (en.limit(300_000_000_000), ja.limit(1_500_000_000)),
            ("5 min".into(), "1.50 秒".into())
        );
        assert_eq!((en.count(14_906), en.count(999)), ("14,906".into(), "999".into()));
        assert_eq!(en.bytes(2_040_109_466), "1.90 GiB");
        assert_eq!(en.percent(0.757), "76 %");
    }
}
