//! Bodies of `/v0.3/traces`, `/v0.4/traces` and `/v0.5/traces`: lists of chunks, each a list of spans
//! of one trace and one process. Read chunk by chunk, so that only one is a tree at a time.
//!
//! In v0.3 and v0.4 a span is a map; in v0.5 it is a row whose texts are places in a table before all
//! chunks. Source: the trace agent's `docs` (DataDog/datadog-agent, `pkg/trace/api/version.go`), and
//! what clients were recorded to send.

use bytes::Bytes;
use serde_json::Value as Json;

use super::item::{Broken, Item, Unpacker};

/// Spans of one request: 20 MB, the most that clients send, have less than half of it.
const MAX_SPANS: usize = 100_000;
/// Bytes of all texts of a request, each counted as often as the table of v0.5 is asked for it: one long
/// text could stand in a million places.
const MAX_TEXT_BYTES: usize = 128 << 20;
/// Clients cut what they send in JSON at 5 MB.
const MAX_JSON_BYTES: usize = 16 << 20;
/// Commas and brackets of JSON, at each of which a value may begin that takes twenty times its bytes.
const MAX_JSON_MARKS: usize = 1 << 20;

/// Which of the endpoints for traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// v0.3, too.
    V04,
    V05,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the body is no MessagePack of traces: {0}")]
    Packed(#[from] Broken),
    #[error("the body is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{place}: {what}")]
    Shape { place: String, what: String },
    #[error("more than {0} spans in one request")]
    TooMany(usize),
    #[error("texts of more than {0} bytes, counted wherever they stand")]
    TooMuchText(usize),
    #[error("JSON of more than {MAX_JSON_BYTES} bytes or {MAX_JSON_MARKS} values")]
    TooLong,
}

fn shape(place: impl Into<String>, what: impl Into<String>) -> Unreadable {
    Unreadable::Shape { place: place.into(), what: what.into() }
}

/// A span as either form says it; what is absent is empty or 0.
#[derive(Default)]
pub(super) struct WireSpan {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) kind: String,
    pub(super) trace_id: u64,
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) start: u64,
    pub(super) duration: u64,
    pub(super) failed: bool,
    pub(super) meta: Vec<(Bytes, Bytes)>,
    pub(super) metrics: Vec<(Bytes, Item)>,
    /// Each a MessagePack document.
    pub(super) structs: Vec<(Bytes, Bytes)>,
    pub(super) links: Option<Item>,
    pub(super) events: Option<Item>,
}

/// Hands on the chunks of a body; `None` is a span that was none.
pub(super) fn read(
    version: Version,
    is_json: bool,
    body: &Bytes,
    mut each: impl FnMut(Vec<Option<WireSpan>>),
) -> Result<(), Unreadable> {
    let mut reading = Reading { spans: 0, text_bytes: 0 };
    if is_json {
        let Item::List(mut all) = Item::from(json(body)?) else {
            return Err(shape("the body", "not a list of traces"));
        };
        let mut strings = Vec::new();
        if version == Version::V05 {
            let (table, traces) = halves(all)?;
            strings = table_of(&table)?;
            all = traces;
        }
        for (at, chunk) in all.iter().enumerate() {
            each(reading.chunk(version, at, chunk, &strings)?);
        }
        return Ok(());
    }
    let mut reader = Unpacker::new(body.clone());
    let mut strings = Vec::new();
    if version == Version::V05 {
        if reader.list()? != 2 {
            return Err(shape("the body", "not a list of texts and traces"));
        }
        strings = table_of(&reader.tree()?)?;
    }
    for at in 0..reader.list()? {
        let chunk = reader.tree()?;
        each(reading.chunk(version, at, &chunk, &strings)?);
    }
    Ok(reader.end()?)
}

/// JSON of a bounded length: what it becomes is some times as large.
pub(super) fn json(body: &Bytes) -> Result<Json, Unreadable> {
    let marks = || body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if body.len() > MAX_JSON_BYTES || marks() > MAX_JSON_MARKS {
        return Err(Unreadable::TooLong);
    }
    Ok(serde_json::from_slice(body)?)
}

fn halves(all: Vec<Item>) -> Result<(Item, Vec<Item>), Unreadable> {
    match <[Item; 2]>::try_from(all) {
        Ok([table, Item::List(traces)]) => Ok((table, traces)),
        _ => Err(shape("the body", "not a list of texts and traces")),
    }
}

fn table_of(item: &Item) -> Result<Vec<Bytes>, Unreadable> {
    let all = item.list().ok_or_else(|| shape("the table of texts", "not a list"))?;
    Ok(all.iter().map(|text| text.text().cloned().unwrap_or_default()).collect())
}

struct Reading {
    spans: usize,
    text_bytes: usize,
}

impl Reading {
    fn chunk(
        &mut self,
        version: Version,
        at: usize,
        chunk: &Item,
        strings: &[Bytes],
    ) -> Result<Vec<Option<WireSpan>>, Unreadable> {
        if *chunk == Item::Nothing {
            return Ok(Vec::new());
        }
        let spans = chunk.list().ok_or_else(|| shape(format!("trace {at}"), "not a list"))?;
        self.spans += spans.len();
        if self.spans > MAX_SPANS {
            return Err(Unreadable::TooMany(MAX_SPANS));
        }
        let mut read = Vec::new();
        for (place, span) in spans.iter().enumerate() {
            read.push(match version {
                Version::V04 => matches!(span, Item::Map(_)).then(|| of_map(span)),
                Version::V05 => of_row(span, strings, &mut self.text_bytes)
                    .map_err(|what| shape(format!("trace {at}, span {place}"), what))?,
            });
            if self.text_bytes > MAX_TEXT_BYTES {
                return Err(Unreadable::TooMuchText(MAX_TEXT_BYTES));
            }
        }
        Ok(read)
    }
}

fn of_map(item: &Item) -> WireSpan {
    let text = |name| item.get(name).and_then(Item::words).unwrap_or_default();
    let id = |name| item.get(name).and_then(Item::as_u64).unwrap_or_default();
    let time = |name| item.get(name).map(time).unwrap_or_default();
    let entries = |name| item.get(name).map(Item::entries).unwrap_or_default();
    let texts = |name| {
        let entry = |(key, value): &(Item, Item)| Some((key.text()?.clone(), text_of(value)?));
        entries(name).iter().filter_map(entry).collect()
    };
    let number = |(key, value): &(Item, Item)| Some((key.text()?.clone(), value.clone()));
    WireSpan {
        service: text("service"),
        name: text("name"),
        resource: text("resource"),
        kind: text("type"),
        trace_id: id("trace_id"),
        span_id: id("span_id"),
        parent_id: id("parent_id"),
        start: time("start"),
        duration: time("duration"),
        failed: item.get("error").is_some_and(is_set),
        meta: texts("meta"),
        metrics: entries("metrics").iter().filter_map(number).collect(),
        structs: texts("meta_struct"),
        links: item.get("span_links").cloned(),
        events: item.get("span_events").cloned(),
    }
}

/// The fields of a row, in their order.
const ROW: usize = 12;

/// `None`: no row of a span. A place beyond the table is an error of the whole body: whatever it is
/// that was read, it is not what was sent.
fn of_row(
    item: &Item,
    strings: &[Bytes],
    text_bytes: &mut usize,
) -> Result<Option<WireSpan>, String> {
    let Some(fields) = item.list().filter(|fields| fields.len() >= ROW) else { return Ok(None) };
    let mut lookup = |item: &Item| {
        let place = item.as_u64().ok_or("not a place in the table of texts")?;
        let found = usize::try_from(place).ok().and_then(|place| strings.get(place));
        let count = strings.len();
        let found = found.ok_or_else(|| format!("text {place} of a table of {count}"))?;
        *text_bytes = text_bytes.saturating_add(found.len());
        if *text_bytes > MAX_TEXT_BYTES {
            // Refused by whoever counts; until then nothing is copied.
            return Ok(Bytes::new());
        }
        Ok::<_, String>(found.clone())
    };
    let mut text =
        |at: usize| lookup(&fields[at]).map(|text| String::from_utf8_lossy(&text).into_owned());
    let id = |at: usize| fields[at].as_u64().unwrap_or_default();
    let [service, name, resource, kind] = [text(0)?, text(1)?, text(2)?, text(11)?];
    let mut span = WireSpan {
        service,
        name,
        resource,
        kind,
        trace_id: id(3),
        span_id: id(4),
        parent_id: id(5),
        start: time(&fields[6]),
        duration: time(&fields[7]),
        failed: is_set(&fields[8]),
        ..WireSpan::default()
    };
    for (key, value) in fields[9].entries() {
        span.meta.push((lookup(key)?, lookup(value)?));
    }
    for (key, value) in fields[10].entries() {
        span.metrics.push((lookup(key)?, value.clone()));
    }
    Ok(Some(span))
}

fn text_of(item: &Item) -> Option<Bytes> {
    item.text().cloned().or_else(|| item.words().map(Bytes::from))
}

/// Nanoseconds; a clock that was set back makes a duration negative.
fn time(item: &Item) -> u64 {
    match item {
        Item::Int(number) => u64::try_from(*number).unwrap_or_default(),
        other => other.as_u64().unwrap_or_default(),
    }
}

fn is_set(item: &Item) -> bool {
    item.as_f64().is_some_and(|number| number != 0.0)
}
