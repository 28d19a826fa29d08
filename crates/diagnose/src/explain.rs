//! A whole trace explained: the call to the model that matters, what was found about it, and what of
//! the time passed outside of the model.

use std::collections::{HashMap, HashSet};

use andon_model::{Cause, Phase, Span, SpanId, SpanKind, Status, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::{
    call::{Call, PHASES, is_call, total},
    clocks,
    diagnosis::{Diagnosis, Fact, Finding},
    words::{Language, Told},
};

/// So much outside of the model is the app's own time.
const APP_SHARE: f64 = 0.6;
const APP_LEAST_NS: u64 = 300_000_000;
/// So much between an app's own request and the call that came of it is the way's.
const WAY_SHARE: f64 = 0.25;
const WAY_LEAST_NS: u64 = 300_000_000;
/// Longest text of a failure that a sentence quotes, in characters.
const MOST_QUOTED: usize = 200;

/// The straight answer to «why was this slow?».
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Explanation {
    pub cause: Cause,
    /// In the language that was asked for.
    pub sentence: String,
    /// 0 to 1.
    pub confidence: f32,
    pub failed: bool,
    /// From the trace's first moment to its last.
    pub total_ns: u64,
    /// Together the whole time, in the order in which it passed.
    pub shares: Vec<Share>,
    /// All that took a good part of the time, the main cause first.
    pub causes: Vec<FoundCause>,
    pub evidence: Vec<Evidence>,
    /// What to do about it.
    pub advice: Vec<String>,
    /// The span that shows it.
    pub span_id: Option<SpanId>,
}

/// A part of the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Share {
    /// `queue`, `load`, `prompt`, `generate`, or `app` for all that is not the model's.
    pub phase: String,
    pub ns: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FoundCause {
    pub cause: Cause,
    pub phase: Option<Phase>,
    /// Nanoseconds that would not have passed without it.
    pub ns: u64,
    pub text: String,
}

/// Something that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Evidence {
    /// Of which cause.
    pub cause: Cause,
    pub text: String,
    /// When it was measured, for the curves of the machine.
    #[schema(value_type = Option<u64>)]
    pub from_ns: Option<UnixNanos>,
    #[schema(value_type = Option<u64>)]
    pub to_ns: Option<UnixNanos>,
    /// Another call that it speaks of.
    pub trace_id: Option<andon_model::TraceId>,
}

/// Explains a trace from its spans, in any order.
pub fn explain(spans: &[Span], language: Language) -> Explanation {
    let trace = Whole::new(spans);
    let (diagnosis, span) = trace.diagnosis();
    let main = diagnosis.findings.first();
    let quoted = span.and_then(|span| message(span, language));
    let told = Told {
        cause: diagnosis.cause,
        total_ns: trace.total_ns,
        ns: main.map(|main| main.ns),
        phase: main.and_then(|main| main.phase),
        facts: main.map_or(&[], |main| &main.facts),
        model: trace.model(),
        service: trace.busiest_service(),
        message: quoted.as_deref(),
        is_reckoned: false,
    };
    let told = match main {
        Some(_) => told,
        None => trace.longest_phase(told),
    };
    let causes = diagnosis.findings.iter().map(|it| found(it, &told, language)).collect();
    Explanation {
        cause: diagnosis.cause,
        sentence: language.sentence(&told),
        confidence: diagnosis.confidence,
        failed: trace.failed().is_some(),
        total_ns: trace.total_ns,
        shares: trace.shares(),
        causes,
        evidence: all_evidence(&diagnosis, language),
        advice: language.advice(&told).into_iter().collect(),
        span_id: span.or(spans.first()).map(|span| span.span_id),
    }
}

fn found<'a>(finding: &'a Finding, told: &Told<'a>, language: Language) -> FoundCause {
    let Finding { cause, phase, ns, .. } = *finding;
    FoundCause { cause, phase, ns, text: language.share(&told.of(finding)) }
}

/// What several causes rest on is said once, for the first of them.
fn all_evidence(diagnosis: &Diagnosis, language: Language) -> Vec<Evidence> {
    let mut all: Vec<Evidence> = Vec::new();
    for found in diagnosis.findings.iter().flat_map(|it| evidence(it, language)) {
        if all.iter().all(|known| known.text != found.text) {
            all.push(found);
        }
    }
    all
}

fn evidence(finding: &Finding, language: Language) -> Vec<Evidence> {
    let when = finding.facts.iter().find_map(|fact| match fact {
        Fact::When { from_ns, to_ns } => Some((*from_ns, *to_ns)),
        _ => None,
    });
    let line = |fact: &Fact| {
        Some(Evidence {
            cause: finding.cause,
            text: language.fact(fact)?,
            from_ns: when.map(|(from_ns, _)| from_ns),
            to_ns: when.map(|(_, to_ns)| to_ns),
            trace_id: match fact {
                Fact::OtherCall { trace_id, .. } => Some(*trace_id),
                _ => None,
            },
        })
    };
    finding.facts.iter().filter_map(line).collect()
}

/// Of a failure, bounded.
fn message(span: &Span, language: Language) -> Option<String> {
    if span.status != Status::Error {
        return None;
    }
    let known = span.error_type.as_deref().and_then(|name| language.error(name));
    let text = known
        .map(str::to_owned)
        .or(span.error_message.clone())
        .or(span.error_type.clone())
        .filter(|text| !text.is_empty())?;
    let short: String = text.chars().take(MOST_QUOTED).collect();
    let ending = if short.len() < text.len() { "…" } else { "" };
    Some(format!("{}{ending}", short.trim_end_matches(['.', '。'])))
}

/// The spans of a trace, as a whole.
struct Whole<'a> {
    spans: &'a [Span],
    by_id: HashMap<SpanId, &'a Span>,
    /// The calls to models; where one repeats the other's, the inner one.
    calls: Vec<&'a Span>,
    total_ns: u64,
}

impl<'a> Whole<'a> {
    fn new(spans: &'a [Span]) -> Self {
        let of_model = || spans.iter().filter(|it| is_call(it));
        let outer: HashSet<SpanId> = of_model().filter_map(|span| span.parent_id).collect();
        let calls = of_model().filter(|span| !outer.contains(&span.span_id)).collect();
        let by_id = spans.iter().map(|span| (span.span_id, span)).collect();
        let total_ns = clocks::total_ns(spans, &by_id);
        Self { spans, by_id, calls, total_ns }
    }

    /// The call that explains the trace: of several the longest.
    fn call(&self) -> Option<&'a Span> {
        self.calls.iter().copied().max_by_key(|span| span.duration_ns)
    }

    /// The span that failed first, where the failure reached the caller; a retry may hide one.
    fn failed(&self) -> Option<&'a Span> {
        let failed = || self.spans.iter().filter(|span| span.status == Status::Error);
        let call = self.call().map(|span| span.span_id);
        let has_reached = failed().any(|span| {
            Some(span.span_id) == call || span.kind == SpanKind::Server || self.is_root(span)
        });
        if !has_reached {
            return None;
        }
        let is_named = |span: &&Span| span.error_type.is_some() || span.error_message.is_some();
        let deepest = |spans: Vec<&'a Span>| spans.into_iter().max_by_key(|it| self.depth(it));
        deepest(failed().filter(is_named).collect()).or_else(|| deepest(failed().collect()))
    }

    fn is_root(&self, span: &Span) -> bool {
        span.parent_id.is_none_or(|parent| self.find(parent).is_none())
    }

    fn find(&self, id: SpanId) -> Option<&'a Span> {
        self.by_id.get(&id).copied()
    }

    fn depth(&self, span: &Span) -> usize {
        let (mut depth, mut parent) = (0, span.parent_id);
        // No deeper than there are spans, also where they go round in a circle.
        while let Some(above) =
            parent.and_then(|id| self.find(id)).filter(|_| depth < self.spans.len())
        {
            depth += 1;
            parent = above.parent_id;
        }
        depth
    }

    /// What is to be said, and the span that shows it.
    fn diagnosis(&self) -> (Diagnosis, Option<&'a Span>) {
        if let Some(failed) = self.failed() {
            let call = self.call().filter(|call| call.status == Status::Error);
            let of_call = call.and_then(Diagnosis::of).filter(|it| it.cause != Cause::None);
            let diagnosis = of_call.or_else(|| Diagnosis::of(failed));
            return (diagnosis.unwrap_or_else(|| of_failure(failed)), Some(failed));
        }
        let call = self.call();
        let diagnosis = call.map_or_else(Diagnosis::none, of_call);
        let (way, cost) = (self.way_ns(), diagnosis.findings.first().map_or(0, |main| main.ns));
        let app = self.app_ns().saturating_sub(way);
        let is_the_way =
            way as f64 >= self.total_ns as f64 * WAY_SHARE && way >= WAY_LEAST_NS && way > cost;
        if is_the_way && way > app {
            let mut findings = diagnosis.findings;
            findings.insert(0, Finding::new(Cause::Network, None, way));
            return (Diagnosis { cause: Cause::Network, confidence: 0.8, findings }, call);
        }
        let is_apps = app as f64 >= self.total_ns as f64 * APP_SHARE
            && app >= APP_LEAST_NS
            && app > cost
            && !self.calls.is_empty()
            && self.spans.len() > 1;
        if !is_apps {
            return (diagnosis, call);
        }
        let mut findings = diagnosis.findings;
        findings.insert(0, Finding::new(Cause::SlowApp, None, app));
        (Diagnosis { cause: Cause::SlowApp, confidence: 0.8, findings }, self.busiest().or(call))
    }

    /// Time in which no model was called.
    fn app_ns(&self) -> u64 {
        let mut calls: Vec<_> = self.calls.iter().map(|it| (it.start_ns, it.end_ns())).collect();
        calls.sort_unstable();
        let (mut in_calls, mut until) = (0, 0);
        for (start, end) in calls {
            in_calls += end.saturating_sub(start.max(until));
            until = until.max(end);
        }
        self.total_ns.saturating_sub(in_calls)
    }

    /// Time in which an app waited for its own request and the call that came of it did not run: a proxy
    /// between the two, or a network.
    fn way_ns(&self) -> u64 {
        let of = |call: &&Span| {
            let request = call.parent_id.and_then(|id| self.find(id))?;
            let is_request = request.kind == SpanKind::Client && !is_call(request);
            is_request.then(|| request.duration_ns.saturating_sub(call.duration_ns))
        };
        total(self.calls.iter().filter_map(of))
    }

    /// The span that took most time by itself, outside of calls to models.
    fn busiest(&self) -> Option<&'a Span> {
        let mut inner: HashMap<SpanId, u64> = HashMap::new();
        for span in self.spans {
            if let Some(parent) = span.parent_id {
                let sum = inner.entry(parent).or_default();
                *sum = sum.saturating_add(span.duration_ns);
            }
        }
        let inner = |span: &Span| inner.get(&span.span_id).copied().unwrap_or(0);
        let own = |span: &Span| span.duration_ns.saturating_sub(inner(span));
        self.spans.iter().filter(|span| !is_call(span)).max_by_key(|span| own(span))
    }

    fn busiest_service(&self) -> Option<&'a str> {
        self.busiest().map(|span| span.service.as_str())
    }

    fn model(&self) -> Option<&'a str> {
        let name = |span: &'a Span| span.model_requested.as_deref().or(span.model.as_deref());
        self.spans.iter().find_map(name)
    }

    /// The times of all calls' phases; a runtime counts on a clock of its own, so that they may come to
    /// more than the trace took.
    fn shares(&self) -> Vec<Share> {
        let of = |phase| total(self.calls.iter().filter_map(|call| Call(call).ns(phase)));
        let known: Vec<(Phase, u64)> = PHASES.into_iter().map(|phase| (phase, of(phase))).collect();
        if self.calls.is_empty() || self.total_ns == 0 {
            return Vec::new();
        }
        let sum: f64 = known.iter().map(|(_, ns)| *ns as f64).sum();
        let scale = (self.total_ns as f64 / sum.max(1.0)).min(1.0);
        let mut rest = self.total_ns;
        let mut fitted = Vec::new();
        for (phase, ns) in known {
            let ns = ((ns as f64 * scale) as u64).min(rest);
            rest -= ns;
            fitted.push((phase.as_str(), ns));
        }
        let all = fitted.into_iter().chain([("app", rest)]).filter(|(_, ns)| *ns > 0);
        all.map(|(phase, ns)| Share { phase: phase.to_owned(), ns }).collect()
    }

    /// Without a cause the sentence says what took most of the time.
    fn longest_phase(&self, told: Told<'a>) -> Told<'a> {
        let of = |phase: &Phase| self.call().and_then(|call| Call(call).ns(*phase)).unwrap_or(0);
        let longest = PHASES.into_iter().max_by_key(of).filter(|phase| of(phase) > 0);
        match (told.cause, longest) {
            (Cause::None, Some(phase)) => {
                let ns = Some(of(&phase).min(told.total_ns));
                Told { phase: Some(phase), ns, ..told }
            }
            _ => told,
        }
    }
}

/// Of a call that an older Andon recorded there is the cause alone, and of one that came by another
/// door not always that.
fn of_call(span: &Span) -> Diagnosis {
    if let Some(diagnosis) = Diagnosis::of(span) {
        return diagnosis;
    }
    let cause = span.cause.unwrap_or(Cause::None);
    let phase = match cause {
        Cause::None => return Diagnosis::none(),
        cause if cause.is_load() => Some(Phase::Load),
        Cause::Queue => Some(Phase::Queue),
        Cause::LongPrompt | Cause::PromptCacheLost => Some(Phase::Prompt),
        Cause::LongAnswer | Cause::ParallelGeneration => Some(Phase::Generate),
        _ => None,
    };
    let ns = phase.and_then(|phase| Call(span).ns(phase)).unwrap_or(0);
    Diagnosis { cause, confidence: 0.7, findings: vec![Finding::new(cause, phase, ns)] }
}

fn of_failure(span: &Span) -> Diagnosis {
    let cause = span.cause.filter(|cause| *cause != Cause::None).unwrap_or(Cause::Unknown);
    let told = Call(span).word("andon.error.phase");
    let phase = PHASES.into_iter().find(|phase| told == Some(phase.as_str()));
    Diagnosis {
        cause,
        confidence: if cause == Cause::Unknown { 0.3 } else { 0.9 },
        findings: vec![Finding::new(cause, phase, span.duration_ns)],
    }
}
