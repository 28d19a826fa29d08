use andon_model::{AttributeValue, LlmKind, Part, RawContent, RawText, TraceId};
use proptest::prelude::*;

use super::*;

fn observation(prompt: &str, error: Option<&str>) -> Observation {
    let mut observation = Observation::from(Span::new(TraceId::random(), "proxy", "POST /chat"));
    observation.contents.push(RawContent {
        part: Part::Input,
        role: Some("user".to_owned()),
        idx: 0,
        text: RawText::new(prompt),
    });
    observation.error_message = error.map(RawText::new);
    observation
}

fn protect(policy: Policy, observation: Observation) -> SpanBatch {
    Protector::new(policy, NoticeLanguage::Japanese).protect(vec![observation]).into_inner()
}

#[test]
fn mask_keeps_ten_characters_and_says_so() {
    let batch = protect(Policy::Mask(10), observation("次の文章を要約してください。", None));
    let content = &batch.contents[0];
    assert_eq!(content.text, "次の文章を要約してく*11文字目以降を非表示にしています*");
    assert_eq!((content.original_length, content.kept_length), (14, 10));
}

#[test]
fn a_text_that_fits_is_kept_whole_without_notice() {
    let batch = protect(Policy::Mask(10), observation("こんにちは", None));
    assert_eq!(batch.contents[0].text, "こんにちは");
}

#[test]
fn none_keeps_the_length_alone() {
    let batch = protect(Policy::None, observation("秘密", None));
    assert_eq!(batch.contents[0].text, "");
    assert_eq!(batch.contents[0].original_length, 2);
}

#[test]
fn a_caller_may_ask_for_less_but_not_for_more() {
    let mut private = observation("秘密の相談です。誰にも言わないで。", None);
    private.policy = Some(Policy::None);
    assert_eq!(protect(Policy::Full, private).contents[0].text, "");
    let mut greedy = observation("秘密の相談です。誰にも言わないで。", None);
    greedy.policy = Some(Policy::Full);
    assert_eq!(protect(Policy::Mask(2), greedy).contents[0].kept_length, 2);
}

#[test]
fn an_error_that_quotes_the_prompt_is_scrubbed() {
    let batch = protect(
        Policy::Mask(10),
        observation(
            "my password is hunter2, keep it",
            Some("cannot parse: my password is hunter2"),
        ),
    );
    let message = batch.spans[0].error_message.clone().unwrap();
    assert!(message.starts_with("cannot parse"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

proptest! {
    #[test]
    fn no_secret_behind_the_mask_reaches_the_batch(
        secret in "[A-Z]{12,24}", before in "[a-z ]{10,30}", visible in 0u32..=10,
    ) {
        let prompt = format!("{before}{secret}");
        let error = format!("bad request near '{prompt}'");
        let batch = protect(Policy::Mask(visible), observation(&prompt, Some(&error)));
        let kept = serde_json::to_string(&batch).unwrap();
        prop_assert!(!kept.contains(&secret), "{kept}");
    }
}

/// A span of another program, with its failure and no text.
fn failure(trace: TraceId, words: &str, llm_kind: Option<LlmKind>) -> Observation {
    let mut span = Span::new(trace, "app", "ask");
    (span.source, span.llm_kind) = (Source::Otlp, llm_kind);
    let mut observation = Observation::from(span);
    observation.error_message = Some(RawText::new(words));
    let holds = Holds::Quotes;
    let (name, text) = ("exception.message".into(), RawText::new(words));
    observation.attributes.push(RawAttribute { name, text, holds });
    observation
}

fn words(protector: &Protector, observation: Observation) -> [String; 2] {
    let span = protector.protect(vec![observation]).into_inner().spans.remove(0);
    let AttributeValue::Text(attribute) = &span.attributes["exception.message"] else { panic!() };
    [span.error_message.unwrap(), attribute.clone()]
}

#[test]
fn a_failure_in_another_request_is_scrubbed_of_what_its_trace_was_asked() {
    let protector = Protector::new(Policy::Mask(4), NoticeLanguage::English);
    let asked = observation("経営会議の議事録を要約してください", None);
    let trace = asked.span.trace_id;
    protector.protect(vec![asked]);
    for quoted in [
        "no answer to 経営会議の議事録を要約",
        r"no answer to \u7d4c\u55b6\u4f1a\u8b70\u306e\u8b70\u4e8b\u9332",
        "no answer to %E7%B5%8C%E5%96%B6%E4%BC%9A%E8%AD%B0%E3%81%AE%E8%AD%B0%E4%BA%8B%E9%8C%B2",
    ] {
        let expected = ["no answer to […]".to_owned(), "no answer to […]".to_owned()];
        assert_eq!(words(&protector, failure(trace, quoted, None)), expected);
    }
    // A call that is not kept was asked all the same.
    let left_out = observation("経営会議の議事録を要約してください", None);
    let of_left_out = left_out.span.trace_id;
    protector.overhear(&[left_out], &[]);
    let scrubbed =
        words(&protector, failure(of_left_out, "no answer to 経営会議の議事録を要約", None));
    assert_eq!(scrubbed[0], "no answer to […]");
    // What nobody asked still says what went wrong.
    let other = "no space left on the device";
    assert_eq!(words(&protector, failure(trace, other, None))[0], other);
    assert_eq!(words(&protector, failure(TraceId::random(), other, None))[0], other);
}

#[test]
fn a_failure_that_cannot_be_compared_is_masked_as_a_text() {
    let protector = Protector::new(Policy::Mask(4), NoticeLanguage::English);
    let trace = TraceId::random();
    let masked = "no a*hidden from character 5 on*";
    let call = failure(trace, "no answer to the minutes", Some(LlmKind::Llm));
    assert_eq!(words(&protector, call), [masked, masked]);
    // So is what the spans around it say, in later requests as well.
    assert_eq!(words(&protector, failure(trace, "no answer to it", None)), [masked, masked]);
    // What Andon saw itself it has heard all of.
    let mut own = failure(TraceId::random(), "no answer from it", Some(LlmKind::Llm));
    own.span.source = Source::Capture;
    assert_eq!(words(&protector, own)[0], "no answer from it");
}

fn again(policy: Policy, kept: SpanBatch) -> SpanBatch {
    Protector::new(policy, NoticeLanguage::English).protect_again(kept).into_inner()
}

#[test]
fn what_was_kept_under_a_policy_passes_the_same_or_a_wider_one_as_it_is() {
    let text = "次の文章を要約してください。";
    for kept in [Policy::Full, Policy::Mask(3), Policy::Mask(10), Policy::None] {
        let batch =
            protect(kept, observation(text, Some("cannot parse 次の文章を要約してください")));
        assert_eq!(again(kept, batch.clone()), batch, "{kept}");
        assert_eq!(again(Policy::Full, batch.clone()), batch, "{kept}");
    }
}

#[test]
fn a_stricter_policy_takes_more_away() {
    let batch = protect(Policy::Full, observation("次の文章を要約してください。", None));
    let masked = again(Policy::Mask(3), batch.clone());
    let content = &masked.contents[0];
    assert_eq!(content.text, "次の文*hidden from character 4 on*");
    assert_eq!((content.policy, content.kept_length), (Policy::Mask(3), 3));
    assert_eq!(content.original_length, 14);
    assert_eq!(again(Policy::None, masked).contents[0].text, "");
}

#[test]
fn an_error_message_from_elsewhere_is_scrubbed_or_masked() {
    let secret = "my password is hunter2, keep it";
    let kept = protect(Policy::Full, observation(secret, Some("bad: my password is hunter2")));
    let scrubbed = again(Policy::Mask(10), kept.clone());
    assert_eq!(scrubbed.spans[0].error_message.as_deref(), Some("bad: […]"));
    let alone = SpanBatch { contents: Vec::new(), ..kept };
    let masked = again(Policy::Mask(10), alone);
    let message = masked.spans[0].error_message.as_deref();
    assert_eq!(message, Some("bad: my pa*hidden from character 11 on*"));
}

proptest! {
    #[test]
    fn no_claim_of_a_kept_text_gets_more_past_the_policy(
        text in ".{0,40}", visible in 0u32..20, kept_length in 0u64..60, original_length in 0u64..60,
        claimed in prop_oneof![Just(Policy::Full), (0u32..30).prop_map(Policy::Mask), Just(Policy::None)],
    ) {
        let mut batch = protect(Policy::Full, observation("x", None));
        let content = &mut batch.contents[0];
        content.text = text.clone();
        (content.policy, content.kept_length, content.original_length) =
            (claimed, kept_length, original_length);
        let content = &again(Policy::Mask(visible), batch).contents[0];
        prop_assert!(content.kept_length <= u64::from(visible));
        let own: String = content.text.chars().take(content.kept_length as usize).collect();
        prop_assert!(text.starts_with(&own));
        let rest = &content.text[own.len()..];
        let is_notice = rest.is_empty() || rest.starts_with("*hidden from") || rest.ends_with("非表示にしています*");
        prop_assert!(is_notice, "{rest}");
    }
}
