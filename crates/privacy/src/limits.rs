//! How large a span may be. Whoever sends one decides what is in it, and not how much: ten thousand
//! attributes, or a name of ten megabytes, come out of here as something that memory, disk and pages
//! can bear, with a mark that says what was taken away.
//!
//! What a newcomer gets wrong: masking comes first. What is cut here may be kept anyway; a text that
//! is cut before could end in a piece of a prompt too short to be recognised as one.

use std::{borrow::Cow, collections::HashMap};

use andon_model::{
    AttributeValue, Attributes, Content, Evaluation, MetricPoint, RequestId, Span, SpanId, TraceId,
};

use crate::{
    NoticeLanguage, SpanBatch,
    again::own_part,
    cut::{Cut, FIELDS_BYTES, MARK_NAME_BYTES, MARKS, MARKS_BYTES, shorten},
    mask::{NOTICE_BYTES, mask_rest},
};

/// Attributes that stay when others have to go, by the beginning of their names.
const WELL_KNOWN: [&str; 4] = ["andon.", "error.", "gen_ai.", "http."];

/// The most that is kept of one span. Sizes are in bytes of UTF-8; a cut is between characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLimits {
    /// Attributes of a span. Well-known names (`andon.`, `error.`, `gen_ai.`, `http.`) stay first, then
    /// the others in their order.
    pub attributes: usize,
    pub attribute_name_bytes: usize,
    /// The text of one attribute.
    pub attribute_value_bytes: usize,
    /// All attributes of a span together, their names included.
    pub attribute_bytes: usize,
    /// Each text of a column: service, name, resource, model, session and their like.
    pub name_bytes: usize,
    pub error_message_bytes: usize,
    /// Texts of prompts and answers that one span comes with; of more, the first and the last stay.
    pub texts: usize,
    /// One such text, after masking.
    pub text_bytes: usize,
}

impl Default for SpanLimits {
    fn default() -> Self {
        Self {
            attributes: 256,
            attribute_name_bytes: 256,
            attribute_value_bytes: 16 << 10,
            attribute_bytes: 64 << 10,
            name_bytes: 1 << 10,
            error_message_bytes: 2_000,
            texts: 4_096,
            text_bytes: 1 << 20,
        }
    }
}

impl SpanLimits {
    /// The same, where each leaves room for the marks of what was cut.
    pub(crate) fn with_room_for_marks(self) -> Self {
        Self {
            attributes: self.attributes.max(MARKS),
            attribute_name_bytes: self.attribute_name_bytes.max(MARK_NAME_BYTES),
            attribute_value_bytes: self.attribute_value_bytes.max(FIELDS_BYTES),
            attribute_bytes: self.attribute_bytes.max(MARKS_BYTES),
            texts: self.texts.max(2),
            text_bytes: self.text_bytes.max(NOTICE_BYTES),
            ..self
        }
    }

    /// Brings a batch within the limits; how many spans were cut. `before` is what was cut of each of
    /// its spans already.
    pub(crate) fn apply(
        &self,
        batch: &mut SpanBatch,
        before: Vec<Cut>,
        language: NoticeLanguage,
    ) -> u64 {
        let mut of_texts = self.bound_texts(&mut batch.contents, language);
        let mut before = before.into_iter();
        let mut spans = 0;
        for span in &mut batch.spans {
            let mut cut = before.next().unwrap_or_default();
            if let Some(of_texts) = of_texts.remove(&(span.trace_id, span.span_id)) {
                cut.add(of_texts);
            }
            spans += u64::from(self.bound_span(span, cut));
        }
        // Texts whose span is not with them have no place for a mark.
        spans + of_texts.len() as u64
    }

    /// Brings an evaluation within the limits.
    pub fn bound_evaluation(&self, evaluation: &mut Evaluation) {
        let Evaluation { evaluator, version, label, reason, .. } = evaluation;
        for text in [Some(evaluator), version.as_mut(), label.as_mut()].into_iter().flatten() {
            shorten(text, self.name_bytes);
        }
        if let Some(reason) = reason {
            shorten(reason, self.error_message_bytes);
        }
    }

    /// Brings a point of a metric within the limits.
    pub fn bound_metric(&self, point: &mut MetricPoint) {
        let MetricPoint { name, unit, buckets, service, env, host, tags, .. } = point;
        let words = [unit.as_mut(), service.as_mut(), env.as_mut(), host.as_mut()];
        for text in words.into_iter().flatten().chain([name]) {
            shorten(text, self.name_bytes);
        }
        // Half of a list is no JSON.
        if buckets.as_ref().is_some_and(|text| text.len() > self.attribute_value_bytes) {
            *buckets = None;
        }
        if !self.holds(tags) {
            *tags = self.bound_attributes(std::mem::take(tags), Cut::default());
        }
    }

    /// Whether anything of it had to go, now or before.
    fn bound_span(&self, span: &mut Span, mut cut: Cut) -> bool {
        for (name, text) in columns(span) {
            if shorten(text, self.name_bytes) {
                cut.field(name);
            }
        }
        if span.error_message.as_mut().is_some_and(|text| shorten(text, self.error_message_bytes)) {
            cut.field("error_message");
        }
        // The beginning of an id is no id.
        let is_long = |id: &RequestId| id.as_str().len() > RequestId::MAX_CHARS;
        if span.request_id.as_ref().is_some_and(is_long) {
            span.request_id = None;
            cut.field("request_id");
        }
        if cut.is_nothing() && self.holds(&span.attributes) {
            return false;
        }
        let attributes = std::mem::take(&mut span.attributes);
        span.attributes = self.bound_attributes(attributes, cut);
        true
    }

    fn holds(&self, attributes: &Attributes) -> bool {
        let fits = |(name, value): (&Cow<'static, str>, &AttributeValue)| {
            name.len() <= self.attribute_name_bytes && self.holds_value(value)
        };
        attributes.len() <= self.attributes
            && attributes.into_iter().all(fits)
            && attributes.weight() <= self.attribute_bytes
    }

    fn holds_value(&self, value: &AttributeValue) -> bool {
        !matches!(value, AttributeValue::Text(text) if text.len() > self.attribute_value_bytes)
    }

    /// What fits, beside the marks of what does not.
    fn bound_attributes(&self, mut attributes: Attributes, mut cut: Cut) -> Attributes {
        cut.add_marks(&mut attributes);
        let mut kept = Attributes::new();
        let (mut room, mut bytes) = (self.attributes - MARKS, self.attribute_bytes - MARKS_BYTES);
        let is_well_known = |name: &str| WELL_KNOWN.iter().any(|known| name.starts_with(known));
        let (known, others): (Vec<_>, Vec<_>) =
            attributes.into_iter().partition(|(name, _)| is_well_known(name));
        for (mut name, mut value) in known.into_iter().chain(others) {
            let mut is_cut = false;
            if name.len() > self.attribute_name_bytes {
                is_cut = shorten(name.to_mut(), self.attribute_name_bytes);
            }
            if let AttributeValue::Text(text) = &mut value {
                is_cut |= shorten(text, self.attribute_value_bytes);
            }
            let weight = name.len() + value.weight();
            if room == 0 || weight > bytes || kept.get(&name).is_some() {
                cut.attributes += 1;
                continue;
            }
            if is_cut {
                cut.field(&format!("attributes.{name}"));
            }
            (room, bytes) = (room - 1, bytes - weight);
            kept.set(name, value);
        }
        cut.mark(&mut kept);
        kept
    }

    /// What was cut of the texts of each span.
    fn bound_texts(
        &self,
        contents: &mut Vec<Content>,
        language: NoticeLanguage,
    ) -> HashMap<(TraceId, SpanId), Cut> {
        let mut cuts: HashMap<_, Cut> = HashMap::new();
        if contents.len() > self.texts {
            self.leave_out_texts(contents, &mut cuts);
        }
        for content in contents {
            let is_role_cut =
                content.role.as_mut().is_some_and(|role| shorten(role, self.name_bytes));
            if is_role_cut | self.shorten_text(content, language) {
                cuts.entry((content.trace_id, content.span_id)).or_default().field("texts");
            }
        }
        cuts
    }

    /// Leaves the first and the last texts of each span: what was asked first, and the answer.
    fn leave_out_texts(
        &self,
        contents: &mut Vec<Content>,
        cuts: &mut HashMap<(TraceId, SpanId), Cut>,
    ) {
        let key = |content: &Content| (content.trace_id, content.span_id);
        let mut counts: HashMap<_, (usize, usize)> = HashMap::new();
        contents.iter().for_each(|content| counts.entry(key(content)).or_default().0 += 1);
        let (first, last) = (self.texts - self.texts / 2, self.texts / 2);
        contents.retain(|content| {
            let (count, place) = counts.entry(key(content)).or_default();
            *place += 1;
            let is_kept = *place <= first || *place + last > *count;
            if !is_kept {
                cuts.entry(key(content)).or_default().texts += 1;
            }
            is_kept
        });
    }

    /// As if the policy had allowed so much and no more.
    fn shorten_text(&self, content: &mut Content, language: NoticeLanguage) -> bool {
        if content.text.len() <= self.text_bytes {
            return false;
        }
        let own = own_part(content);
        let end = own.floor_char_boundary(self.text_bytes - NOTICE_BYTES);
        let known = own.chars().count() as u64;
        let original_length = content.original_length.max(known);
        let masked = mask_rest(&own[..end], original_length, content.policy, language);
        (content.text, content.kept_length) = (masked.text, masked.kept_length);
        content.original_length = original_length;
        true
    }
}

/// The texts of a span's columns. A column that is added has to be thought of here.
fn columns(span: &mut Span) -> impl Iterator<Item = (&'static str, &mut String)> {
    let Span {
        trace_id: _,
        span_id: _,
        parent_id: _,
        start_ns: _,
        duration_ns: _,
        service,
        env,
        version,
        host,
        pid: _,
        name,
        resource,
        kind: _,
        llm_kind: _,
        status: _,
        error_type,
        // These two have limits of their own.
        error_message: _,
        request_id: _,
        http_method,
        http_route,
        http_status: _,
        provider,
        model,
        model_requested,
        endpoint,
        stream: _,
        input_tokens: _,
        output_tokens: _,
        cached_tokens: _,
        reasoning_tokens: _,
        finish_reason,
        timings: _,
        context_length: _,
        model_digest,
        cost: _,
        cost_currency,
        cause: _,
        ml_app,
        session_id,
        user_id,
        source: _,
        attributes: _,
        adjusted_count: _,
    } = span;
    let columns = [
        ("service", Some(service)),
        ("env", env.as_mut()),
        ("version", version.as_mut()),
        ("host", host.as_mut()),
        ("name", Some(name)),
        ("resource", resource.as_mut()),
        ("error_type", error_type.as_mut()),
        ("http_method", http_method.as_mut()),
        ("http_route", http_route.as_mut()),
        ("provider", provider.as_mut()),
        ("model", model.as_mut()),
        ("model_requested", model_requested.as_mut()),
        ("endpoint", endpoint.as_mut()),
        ("finish_reason", finish_reason.as_mut()),
        ("model_digest", model_digest.as_mut()),
        ("cost_currency", cost_currency.as_mut()),
        ("ml_app", ml_app.as_mut()),
        ("session_id", session_id.as_mut()),
        ("user_id", user_id.as_mut()),
    ];
    columns.into_iter().filter_map(|(name, text)| Some((name, text?)))
}

#[cfg(test)]
mod tests;
