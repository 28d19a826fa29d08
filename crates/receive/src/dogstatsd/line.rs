//! One line of DogStatsD.
//!
//! Source: Datadog's «DogStatsD Datagram Format», protocols 1.0 to 1.3 (packed values, container ids,
//! timestamps), and what its Python client sends.

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line<'a> {
    Metric(Metric<'a>),
    Event(Event<'a>),
    Check(Check<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// Histograms, distributions and timers: values whose spread is wanted.
    Spread,
    Set,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric<'a> {
    pub(super) name: &'a str,
    /// Packed ones are many.
    pub(super) values: Vec<&'a str>,
    pub(super) kind: Kind,
    /// Timers are in milliseconds.
    pub(super) unit: Option<&'static str>,
    /// One in so many was sent: 0.1 stands for ten.
    pub(super) rate: f64,
    pub(super) common: Common<'a>,
}

/// What all three may have.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Common<'a> {
    pub(super) tags: Vec<(&'a str, &'a str)>,
    pub(super) container: Option<&'a str>,
    /// Seconds since 1970.
    pub(super) time_s: Option<u64>,
    pub(super) host: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) alert: Option<&'a str>,
    pub(super) common: Common<'a>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Check<'a> {
    pub(super) name: &'a str,
    /// 0 well, 1 warning, 2 critical, 3 unknown.
    pub(super) status: u8,
    pub(super) message: Option<&'a str>,
    pub(super) common: Common<'a>,
}

/// Values in one line; a datagram is 64 KiB at most.
const MAX_VALUES: usize = 8_192;
const MAX_TAGS: usize = 128;

/// Reads a line; `None` where it is none.
pub(super) fn read(line: &str) -> Option<Line<'_>> {
    if let Some(rest) = line.strip_prefix("_e{") {
        return event(rest).map(Line::Event);
    }
    if let Some(rest) = line.strip_prefix("_sc|") {
        return check(rest).map(Line::Check);
    }
    metric(line).map(Line::Metric)
}

fn metric(line: &str) -> Option<Metric<'_>> {
    let (head, rest) = line.split_once('|')?;
    // Values may be times of day for all we know; a name has no colon.
    let (name, values) = head.split_once(':')?;
    if name.is_empty() || values.is_empty() {
        return None;
    }
    let mut fields = rest.split('|');
    let (kind, unit) = match fields.next()? {
        "c" => (Kind::Counter, None),
        "g" => (Kind::Gauge, None),
        "h" | "d" => (Kind::Spread, None),
        "ms" => (Kind::Spread, Some("ms")),
        "s" => (Kind::Set, None),
        _ => return None,
    };
    let mut rate = 1.0;
    let mut common = Common::default();
    for field in fields {
        match field.strip_prefix('@') {
            Some(said) => rate = said.parse().ok().filter(is_rate)?,
            None => common.take(field),
        }
    }
    let values: Vec<&str> = match kind {
        // The value of a set is any text, colons too.
        Kind::Set => vec![values],
        _ => values.split(':').take(MAX_VALUES).collect(),
    };
    let are_numbers = |value: &&str| value.parse::<f64>().is_ok_and(f64::is_finite);
    if kind != Kind::Set && !values.iter().all(are_numbers) {
        return None;
    }
    Some(Metric { name, values, kind, unit, rate, common })
}

/// One that stands for more than can be counted would make all that it is added to endless.
fn is_rate(rate: &f64) -> bool {
    *rate > 0.0 && *rate <= 1.0 && rate.recip().is_finite()
}

/// `_e{<bytes of title>,<bytes of text>}:title|text|…`
fn event(rest: &str) -> Option<Event<'_>> {
    let (lengths, rest) = rest.split_once("}:")?;
    let (title, text) = lengths.split_once(',')?;
    let (title_bytes, text_bytes): (usize, usize) = (title.parse().ok()?, text.parse().ok()?);
    let title = rest.get(..title_bytes)?;
    let rest = rest.get(title_bytes..)?.strip_prefix('|')?;
    let text = rest.get(..text_bytes)?;
    let mut event = Event { title, text, alert: None, common: Common::default() };
    for field in rest.get(text_bytes..)?.split('|').skip(1) {
        match field.split_once(':') {
            Some(("t", alert)) => event.alert = Some(alert),
            Some(("d", time)) => event.common.time_s = time.parse().ok(),
            Some(("h", host)) => event.common.host = Some(host),
            _ => event.common.take(field),
        }
    }
    Some(event)
}

/// `_sc|name|status|…|m:message`; the message is last, and may hold anything.
fn check(rest: &str) -> Option<Check<'_>> {
    let (rest, message) = match rest.split_once("|m:") {
        Some((rest, message)) => (rest, Some(message)),
        None => (rest, None),
    };
    let mut fields = rest.split('|');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let status = fields.next()?.parse().ok().filter(|status| *status <= 3)?;
    let mut check = Check { name, status, message, common: Common::default() };
    for field in fields {
        match field.split_once(':') {
            Some(("d", time)) => check.common.time_s = time.parse().ok(),
            Some(("h", host)) => check.common.host = Some(host),
            _ => check.common.take(field),
        }
    }
    Some(check)
}

impl<'a> Common<'a> {
    /// Fields of later protocols are passed over.
    fn take(&mut self, field: &'a str) {
        if let Some(tags) = field.strip_prefix('#') {
            let tags = tags.split(',').filter(|tag| !tag.is_empty()).take(MAX_TAGS);
            // Values may have colons: `model:granite3.2:2b`.
            self.tags = tags.map(|tag| tag.split_once(':').unwrap_or((tag, ""))).collect();
        } else if let Some(container) = field.strip_prefix("c:") {
            self.container = Some(container);
        } else if let Some(time) = field.strip_prefix('T') {
            self.time_s = time.parse().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(line: &str) -> Metric<'_> {
        match read(line) {
            Some(Line::Metric(metric)) => metric,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_field_of_a_metric_is_read() {
        let metric = of("chat.tokens:1:2.5|d|@0.5|#model:granite3.2:2b,beta|c:in-42|T1700000000");
        assert_eq!((metric.name, metric.kind, metric.rate), ("chat.tokens", Kind::Spread, 0.5));
        assert_eq!(metric.values, ["1", "2.5"]);
        assert_eq!(metric.common.tags, [("model", "granite3.2:2b"), ("beta", "")]);
        assert_eq!(metric.common.container, Some("in-42"));
        assert_eq!(metric.common.time_s, Some(1_700_000_000));
        assert_eq!(of("t:3|ms").unit, Some("ms"));
        assert_eq!(of("u:a:b|s").values, ["a:b"]);
    }

    #[test]
    fn what_is_no_line_is_none() {
        for line in [
            "",
            ":",
            "a",
            "a:|c",
            ":1|c",
            "a:1",
            "a:1|",
            "a:1|x",
            "a:x|c",
            "a:nan|g",
            "a:1|c|@0",
            "a:1|c|@x",
            "a:0|c|@1e-310",
            "_e{",
            "_e{1,1}:a",
            "_e{9,9}:a|b",
            "_e{1,1}:é|b",
            "_sc|",
            "_sc|n|9",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn events_count_bytes_and_messages_may_hold_anything() {
        let line = "_e{9,5}:起動し|a|b:c|t:warning|h:vps|#k:v";
        let Some(Line::Event(event)) = read(line) else { panic!("{line}") };
        assert_eq!((event.title, event.text, event.alert), ("起動し", "a|b:c", Some("warning")));
        assert_eq!((event.common.host, event.common.tags[0]), (Some("vps"), ("k", "v")));
        let Some(Line::Check(check)) = read("_sc|db.up|2|#a:b|m:no | answer") else { panic!() };
        assert_eq!((check.name, check.status, check.message), ("db.up", 2, Some("no | answer")));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "(_e\\{|_sc\\||[a-z.]{0,3}:)?[-0-9a-z:|@#,{}T.é]{0,40}") {
            let _ = read(&line);
        }
    }
}
