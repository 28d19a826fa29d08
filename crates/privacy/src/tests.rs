use andon_model::{Part, RawContent, RawText, TraceId};
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
