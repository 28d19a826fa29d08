use super::*;

fn error_of(text: &str) -> QueryError {
    Filter::parse(text).unwrap_err()
}

#[test]
fn every_kind_of_term_is_read() {
    let filter = Filter::parse(
        r#"hello gemma3:270m -service:web model:"a \"b\"" status:ERROR cause:cold_start duration:>=1.5s @user.plan:"a b""#,
    )
    .unwrap();
    let tests: Vec<_> = filter.terms.iter().map(|term| (term.negated, &term.test)).collect();
    assert_eq!(tests[0], (false, &Test::Anywhere(Pattern::new("hello", false))));
    assert_eq!(tests[1], (false, &Test::Anywhere(Pattern::new("gemma3:270m", false))));
    assert_eq!(tests[2], (true, &Test::Text(TextField::Service, Pattern::new("web", false))));
    assert_eq!(tests[3], (false, &Test::Text(TextField::Model, Pattern::new("a \"b\"", true))));
    assert_eq!(tests[4], (false, &Test::Status(Status::Error)));
    assert_eq!(tests[5], (false, &Test::Cause(Cause::ColdStart)));
    let (comparison, nanos) = (Comparison::GreaterOrEqual, 1_500_000_000);
    assert_eq!(tests[6], (false, &Test::Duration { comparison, nanos }));
    let name = "user.plan".to_owned();
    assert_eq!(tests[7], (false, &Test::Attribute(name, Pattern::new("a b", true))));
    assert!(Filter::parse("  \u{3000} ").unwrap().terms.is_empty());
}

#[test]
fn errors_name_the_position() {
    for (text, position) in [
        ("status:bad", 7),
        ("日本 status:", 10),
        ("x cause:nothing", 8),
        ("duration:5s", 9),
        ("duration:>5h", 9),
        ("duration:>-5s", 9),
        ("duration:>nans", 9),
        ("-", 1),
        ("a \"b", 2),
        ("model:\"\"", 6),
        ("日 @user", 2),
        ("@:x", 0),
        ("@user: x", 6),
        ("-@user:x", 1),
        ("-text:x", 1),
    ] {
        assert_eq!(error_of(text).position, position, "{text}");
    }
    assert_eq!(error_of(&"x".repeat(2_000)).position, Filter::MAX_CHARS);
    assert!(error_of(&"x ".repeat(40)).message.contains("32"));
}

#[test]
fn patterns_disregard_case_in_any_script() {
    assert!(Pattern::new("CHAT", false).matches("post /chat"));
    assert!(!Pattern::new("chat", true).matches("post /chat"));
    assert!(Pattern::new("ÄPFEL", true).matches("äpfel"));
    assert!(Pattern::new("東京", false).matches("今日の東京の天気"));
}

#[test]
fn cursors_read_back_and_refuse_what_they_did_not_write() {
    let cursor = Cursor { start_ns: 17, trace_id: TraceId::random() };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for bad in
        ["", "é", "0000", "+00000000000000f0123456789abcdef0123456789abcdef", "日本語日本語日本語"]
    {
        assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_filter_or_a_clear_error(text in ".{0,200}") {
        if let Err(error) = Filter::parse(&text) {
            proptest::prop_assert!(error.position <= text.chars().count());
        }
    }
}
