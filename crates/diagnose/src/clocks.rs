//! Spans of one trace come from several machines, and the clocks of these are not the same.
//!
//! Nothing begins before what began it: a span that seems to shows how far its machine's clock is from
//! its parent's. It is put into the middle of its parent, as far as it fits, which is where it lies if
//! the way there takes as long as the way back (so does Zipkin, and Jaeger after it:
//! <https://github.com/openzipkin/zipkin/issues/6>).

use std::collections::HashMap;

use andon_model::{Span, SpanId, SpanKind};
use serde::Serialize;

/// Clocks that are kept by NTP agree better than this.
const SLACK_NS: i128 = 5_000_000;

/// By how much the clock that a span was timed with is to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ClockShift {
    pub span_id: SpanId,
    /// Nanoseconds to be added to when it began.
    pub shift_ns: i64,
}

/// The spans of a trace that lie elsewhere than their times say, because their machine's clock is off.
pub fn clock_shifts(spans: &[Span]) -> Vec<ClockShift> {
    let by_id = spans.iter().map(|span| (span.span_id, span)).collect();
    let shifts = shifts(spans, &by_id);
    let shift = |span: &Span| {
        let shift_ns = i64::try_from(*shifts.get(&span.span_id)?).ok()?;
        Some(ClockShift { span_id: span.span_id, shift_ns })
    };
    spans.iter().filter_map(shift).collect()
}

/// How long the spans took together, their clocks set by the first one's.
pub(crate) fn total_ns(spans: &[Span], by_id: &HashMap<SpanId, &Span>) -> u64 {
    let shifts = shifts(spans, by_id);
    let start = |span: &Span| i128::from(span.start_ns) + shift_of(&shifts, span);
    let end = |span: &Span| start(span) + i128::from(span.duration_ns);
    let (first, last) = (spans.iter().map(start).min(), spans.iter().map(end).max());
    first.zip(last).and_then(|(first, last)| u64::try_from(last - first).ok()).unwrap_or(0)
}

fn shift_of(shifts: &HashMap<SpanId, i128>, span: &Span) -> i128 {
    shifts.get(&span.span_id).copied().unwrap_or(0)
}

/// What is to be added to each span's times; spans that are not there keep theirs.
fn shifts(spans: &[Span], by_id: &HashMap<SpanId, &Span>) -> HashMap<SpanId, i128> {
    let mut shifts = HashMap::new();
    let is_apart = |span: &&Span| {
        let parent = span.parent_id.and_then(|id| by_id.get(&id));
        parent.is_some_and(|parent| is_of_another_clock(parent, span))
    };
    if !spans.iter().any(|span| is_apart(&span)) {
        return shifts;
    }
    let mut children: HashMap<SpanId, Vec<&Span>> = HashMap::new();
    let mut waiting: Vec<&Span> = Vec::new();
    for span in spans {
        match span.parent_id.filter(|id| by_id.contains_key(id)) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => waiting.push(span),
        }
    }
    while let Some(parent) = waiting.pop() {
        let of_parent = shift_of(&shifts, parent);
        // Taken out, so that spans that are each other's parents end.
        for child in children.remove(&parent.span_id).unwrap_or_default() {
            let shift = match is_of_another_clock(parent, child) {
                true => into(parent, of_parent, child),
                false => of_parent,
            };
            if shift != 0 {
                shifts.insert(child.span_id, shift);
            }
            waiting.push(child);
        }
    }
    shifts
}

fn is_of_another_clock(parent: &Span, child: &Span) -> bool {
    match (&parent.host, &child.host) {
        (Some(one), Some(other)) => one != other,
        _ => parent.service != child.service,
    }
}

/// The shift of a child on another clock: none where it lies well as it is, its parent's where that is
/// the same clock after all, else what puts it into its parent.
fn into(parent: &Span, of_parent: i128, child: &Span) -> i128 {
    let begins = i128::from(parent.start_ns) + of_parent;
    let ends = begins + i128::from(parent.duration_ns);
    let own = i128::from(child.start_ns);
    let room = i128::from(parent.duration_ns) - i128::from(child.duration_ns);
    // Work may go on when the answer is out; what waits for no answer may begin later still.
    let is_awaited = room >= 0 && !matches!(child.kind, SpanKind::Producer | SpanKind::Consumer);
    let lies_well = |shift: &i128| {
        let start = own + shift;
        start >= begins - SLACK_NS && !(is_awaited && start > ends + SLACK_NS)
    };
    let known = [0, of_parent].into_iter().find(lies_well);
    known.unwrap_or_else(|| begins + room.max(0) / 2 - own)
}

#[cfg(test)]
mod tests {
    use andon_model::TraceId;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn span(host: &str, start_s: u64, seconds: u64, parent: Option<&Span>) -> Span {
        Span {
            host: Some(host.to_owned()),
            start_ns: start_s * SECOND,
            duration_ns: seconds * SECOND,
            parent_id: parent.map(|parent| parent.span_id),
            ..Span::new(TraceId::from_bytes([1; 16]), host, "work")
        }
    }

    fn total_s(spans: &[Span]) -> u64 {
        let by_id = spans.iter().map(|span| (span.span_id, span)).collect();
        total_ns(spans, &by_id) / SECOND
    }

    #[test]
    fn a_clock_that_is_off_makes_no_trace_longer() {
        let app = span("app", 1_000, 4, None);
        let call = span("box", 970, 3, Some(&app));
        let inner = span("box", 971, 1, Some(&call));
        let shifts = clock_shifts(&[app.clone(), call.clone(), inner.clone()]);
        // Half a second of way in each direction, and all of the other machine by the same.
        let shift_ns = (1_000 - 970) as i64 * 1_000_000_000 + 500_000_000;
        let of = |span: &Span| ClockShift { span_id: span.span_id, shift_ns };
        assert_eq!(shifts, [of(&call), of(&inner)]);
        assert_eq!(total_s(&[app.clone(), call, inner]), 4);
        let late = span("box", 1_090, 3, Some(&app));
        assert_eq!(total_s(&[app, late]), 4);
    }

    #[test]
    fn a_third_machine_may_have_the_first_one_s_clock() {
        let app = span("app", 1_000, 9, None);
        let proxy = span("proxy", 900, 7, Some(&app));
        let call = span("box", 1_003, 2, Some(&proxy));
        assert_eq!(total_s(&[app, proxy, call]), 9);
    }

    #[test]
    fn what_one_clock_says_stays() {
        let app = span("app", 1_000, 4, None);
        let after = span("app", 1_010, 2, Some(&app));
        assert_eq!(total_s(&[app.clone(), after]), 12);
        // Too long to have been waited for: it was begun, and went on.
        let long = span("box", 1_010, 9, Some(&app));
        assert_eq!(total_s(&[app.clone(), long]), 19);
        let within = span("box", 1_001, 2, Some(&app));
        assert_eq!(total_s(&[app, within]), 4);
    }

    #[test]
    fn spans_that_are_each_other_s_parents_come_to_an_end() {
        let mut one = span("a", 5, 1, None);
        let two = span("b", 1, 1, Some(&one));
        one.parent_id = Some(two.span_id);
        assert_eq!(total_s(&[one, two]), 5);
        assert_eq!(total_s(&[]), 0);
    }
}
