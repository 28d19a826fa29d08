use andon_model::{
    Attributes, EvaluationSource, MetricType, Observation, Part, Policy, RawContent, RawText,
};
use proptest::prelude::*;

use super::*;
use crate::Protector;

const SMALL: SpanLimits = SpanLimits {
    attributes: 12,
    attribute_name_bytes: 24,
    attribute_value_bytes: 600,
    attribute_bytes: 2_000,
    name_bytes: 10,
    error_message_bytes: 20,
    texts: 3,
    text_bytes: 150,
};

fn protector(limits: SpanLimits) -> Protector {
    Protector::new(Policy::Full, NoticeLanguage::English).with_limits(limits)
}

fn protect(limits: SpanLimits, seen: Observation) -> SpanBatch {
    protector(limits).protect(vec![seen]).into_inner()
}

fn span() -> Span {
    Span::new(TraceId::random(), "service", "name")
}

/// Everything that [`SpanLimits`] promises.
fn is_within(limits: &SpanLimits, batch: &SpanBatch) -> bool {
    let of_span = |span: &Span| {
        let mut span = span.clone();
        let error =
            span.error_message.as_ref().is_none_or(|it| it.len() <= limits.error_message_bytes);
        let id = span.request_id.as_ref().is_none_or(|id| id.as_str().len() <= 128);
        error
            && id
            && limits.holds(&span.attributes)
            && columns(&mut span).all(|(_, text)| text.len() <= limits.name_bytes)
    };
    let of_text = |content: &Content| {
        let role = content.role.as_ref().is_none_or(|role| role.len() <= limits.name_bytes);
        let own = content.kept_length <= content.text.chars().count() as u64;
        role && own && content.text.len() <= limits.text_bytes
    };
    let count = |span: &Span| batch.contents.iter().filter(|it| it.span_id == span.span_id).count();
    batch.spans.iter().all(|span| of_span(span) && count(span) <= limits.texts)
        && batch.contents.iter().all(of_text)
}

fn any_value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any::<i64>().prop_map(AttributeValue::Int),
        any::<bool>().prop_map(AttributeValue::Bool),
        ".{0,40}".prop_map(AttributeValue::Text),
        (0..900_usize).prop_map(|n| AttributeValue::Text("語".repeat(n))),
    ]
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    let name = prop_oneof![
        "[a-z.]{0,12}",
        "(gen_ai|http|error)\\.[a-z]{1,30}",
        "andon\\.cut\\.(attributes|texts|fields)",
        "é{0,40}",
    ];
    proptest::collection::vec((name, any_value()), 0..30).prop_map(|pairs| {
        let mut attributes = Attributes::new();
        pairs.into_iter().for_each(|(name, value)| attributes.set(name, value));
        attributes
    })
}

fn any_batch() -> impl Strategy<Value = SpanBatch> {
    let texts = proptest::collection::vec((".{0,200}", proptest::option::of(".{0,20}")), 0..6);
    let policy = prop_oneof![Just(Policy::Full), (0..300u32).prop_map(Policy::Mask)];
    let columns = (".{0,20}", ".{0,20}", proptest::option::of(".{0,60}"), ".{0,200}");
    (columns, any_attributes(), texts, policy).prop_map(
        |((service, model, error, request_id), attributes, texts, policy)| {
            let mut span = Span { service, model: Some(model), attributes, ..span() };
            span.error_message = error;
            span.request_id = RequestId::given(&request_id);
            let mut seen = Observation::from(span.clone());
            seen.contents.extend(texts.into_iter().map(|(text, role)| RawContent {
                part: Part::Input,
                role,
                idx: 0,
                text: RawText::new(text),
            }));
            let wide = SpanLimits { text_bytes: 1 << 20, texts: 100, ..SpanLimits::default() };
            let mut batch = Protector::new(policy, NoticeLanguage::Japanese)
                .with_limits(wide)
                .protect(vec![seen])
                .into_inner();
            batch.spans = vec![span];
            batch
        },
    )
}

proptest! {
    #[test]
    fn any_span_comes_out_within_the_limits_and_a_second_time_unchanged(batch in any_batch()) {
        let limits = SMALL.with_room_for_marks();
        let once = protector(SMALL).protect_again(batch.clone()).into_inner();
        prop_assert!(is_within(&limits, &once), "{once:?}");
        prop_assert_eq!(is_within(&limits, &batch), once == batch);
        let second = protector(SMALL);
        prop_assert_eq!(&second.protect_again(once.clone()).into_inner(), &once);
        prop_assert_eq!(second.spans_cut(), 0);
    }

    #[test]
    fn limits_that_leave_no_room_are_met_as_well_as_the_marks_allow(batch in any_batch()) {
        let none = SpanLimits {
            attributes: 0, attribute_name_bytes: 0, attribute_value_bytes: 0, attribute_bytes: 0,
            name_bytes: 0, error_message_bytes: 0, texts: 0, text_bytes: 0,
        };
        let cut = protector(none).protect_again(batch).into_inner();
        prop_assert!(is_within(&none.with_room_for_marks(), &cut), "{cut:?}");
    }

    #[test]
    fn no_piece_of_a_quoted_prompt_is_left_at_the_end_of_a_cut_message(
        before in 0usize..40, secret in "[A-Z]{8,30}",
    ) {
        let mut seen = Observation::from(span());
        let text = RawText::new(secret.as_str());
        seen.contents.push(RawContent { part: Part::Input, role: None, idx: 0, text });
        seen.error_message = Some(RawText::new(format!("{}{secret} and much more", "-".repeat(before))));
        let protector = Protector::new(Policy::Mask(0), NoticeLanguage::English).with_limits(SMALL);
        let batch = protector.protect(vec![seen]).into_inner();
        let message = batch.spans[0].error_message.clone().unwrap();
        prop_assert!(!message.contains(char::is_uppercase), "{message}");
        prop_assert!(batch.spans[0].attributes.get("andon.cut.fields").is_some());
    }
}

#[test]
fn well_known_attributes_stay_and_the_mark_says_what_went() {
    let mut full = span();
    full.service = "0123456789+".to_owned();
    for n in 0..100_000 {
        full.attributes.set(format!("a.{n:06}"), "value");
    }
    full.attributes.set("gen_ai.request.model", "gemma3");
    full.attributes.set("http.url", "x".repeat(700));
    full.attributes.set("andon.prompt.parts", 3_i64);
    let protector = protector(SMALL);
    let batch = protector.protect(vec![full.into(), span().into()]).into_inner();
    let attributes = &batch.spans[0].attributes;
    let names: Vec<_> = attributes.into_iter().map(|(name, _)| name.as_ref()).collect();
    let others = ["a.000000", "a.000001", "a.000002", "a.000003", "a.000004", "a.000005"];
    let marks = ["andon.cut.attributes", "andon.cut.fields", "andon.prompt.parts"];
    assert_eq!(names, [&others[..], &marks, &["gen_ai.request.model", "http.url"]].concat());
    assert_eq!(attributes["andon.cut.attributes"], 99_994_i64.into());
    assert_eq!(attributes["andon.cut.fields"], "service, attributes.http.url".into());
    assert_eq!((batch.spans[0].service.as_str(), protector.spans_cut()), ("0123456789", 1));
    assert!(batch.spans[1].attributes.is_empty());
}

#[test]
fn all_attributes_together_have_a_limit_too() {
    let mut heavy = span();
    for n in 0..10 {
        heavy.attributes.set(format!("large.{n}"), "x".repeat(500));
    }
    heavy.attributes.set("small", true);
    let limits = SMALL.with_room_for_marks();
    let kept = protect(SMALL, heavy.into()).spans.remove(0).attributes;
    assert!(kept.weight() <= limits.attribute_bytes, "{}", kept.weight());
    // What is small finds room behind what did not.
    assert_eq!((&kept["small"], &kept["andon.cut.attributes"]), (&true.into(), &8_i64.into()));
}

#[test]
fn of_many_texts_the_first_and_the_last_stay_and_a_long_one_is_cut_with_a_notice() {
    let mut seen = Observation::from(span());
    for idx in 0..9 {
        let text = if idx == 8 { "東京".repeat(40) } else { format!("text {idx}") };
        let (role, text) = (Some("assistant".to_owned()), RawText::new(text));
        seen.contents.push(RawContent { part: Part::Input, role, idx, text });
    }
    let batch = protect(SMALL, seen);
    let kept: Vec<_> = batch.contents.iter().map(|content| content.idx).collect();
    assert_eq!(kept, [0, 1, 8]);
    let long = &batch.contents[2];
    assert_eq!(long.text, format!("{}*hidden from character 19 on*", "東京".repeat(9)));
    assert_eq!((long.kept_length, long.original_length), (18, 80));
    let attributes = &batch.spans[0].attributes;
    assert_eq!(attributes["andon.cut.texts"], 6_i64.into());
    assert_eq!(attributes["andon.cut.fields"], "texts".into());
}

#[test]
fn memory_of_what_was_cut_is_given_back() {
    let mut bomb = span();
    bomb.name = "x".repeat(10 << 20);
    bomb.attributes.set("x", "x".repeat(10 << 20));
    let kept = protect(SpanLimits::default(), bomb.into()).spans.remove(0);
    assert!(kept.name.capacity() <= 1 << 10);
    let AttributeValue::Text(text) = &kept.attributes["x"] else { panic!("no text") };
    assert!(text.capacity() <= 16 << 10);
}

#[test]
fn an_evaluation_is_brought_within_the_limits() {
    let mut evaluation = Evaluation {
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        time_ns: 1,
        evaluator: "e".repeat(100),
        version: Some("v".repeat(100)),
        metric_type: MetricType::Score,
        score: None,
        label: Some("ラベル".repeat(100)),
        reason: Some("r".repeat(100)),
        source: EvaluationSource::Sdk,
        duration_ns: None,
    };
    SMALL.bound_evaluation(&mut evaluation);
    let Evaluation { evaluator, version, label, reason, .. } = evaluation;
    assert_eq!((evaluator.len(), version.unwrap().len()), (10, 10));
    assert_eq!((label.unwrap().as_str(), reason.unwrap().len()), ("ラベル", 20));
}

#[test]
fn a_batch_is_split_with_each_span_beside_its_texts() {
    let (mut seen, mut large_span) = (Vec::new(), SpanId::random());
    for n in 0..10 {
        let mut one = Observation::from(span());
        for idx in 0..if n == 7 { 30 } else { 2 } {
            let text = RawText::new("x".repeat(100));
            seen.extend((n == 3 && idx == 1).then(|| Observation::from(span())));
            one.contents.push(RawContent { part: Part::Input, role: None, idx, text });
        }
        if n == 7 {
            large_span = one.span.span_id;
        }
        seen.push(one);
    }
    let whole = protector(SpanLimits::default()).protect(seen);
    assert_eq!(whole.clone().split(1 << 20), std::slice::from_ref(&whole));
    let pieces = whole.clone().split(2_500);
    let ids = |batch: &SpanBatch| batch.spans.iter().map(|span| span.span_id).collect::<Vec<_>>();
    let all: Vec<_> = pieces.iter().flat_map(|piece| ids(piece.get())).collect();
    assert_eq!(all, ids(whole.get()));
    let texts = pieces.iter().map(|piece| piece.get().contents.len());
    assert_eq!(texts.clone().sum::<usize>(), whole.get().contents.len());
    // Texts that are too much for one batch follow their span; the others stay with theirs.
    for piece in &pieces {
        let own = ids(piece.get());
        let is_with_its_span = |content: &&Content| own.contains(&content.span_id);
        let away: Vec<_> =
            piece.get().contents.iter().filter(|content| !is_with_its_span(content)).collect();
        assert!(away.iter().all(|content| content.span_id == large_span), "{away:?}");
    }
}
