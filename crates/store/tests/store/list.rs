use andon_model::{Cause, LlmKind, RequestId, Source, SpanKind, Status, Timings};
use andon_store::{Config, Cursor, EmbeddedStore, FacetCount, Store, TraceQuery};

use crate::support::*;

#[test]
fn a_row_is_made_of_all_spans_however_late_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut browser = span(1, 100);
    browser.service = "browser".to_owned();
    browser.name = "ask".to_owned();
    browser.source = Source::Rum;
    browser.kind = SpanKind::Client;
    browser.duration_ns = 3 * SECOND;
    let mut gateway = span(1, 101);
    gateway.parent_id = Some(browser.span_id);
    gateway.resource = Some("/chat".to_owned());
    gateway.http_status = Some(504);
    gateway.status = Status::Error;
    gateway.error_type = Some("http_504".to_owned());
    gateway.request_id = Some(RequestId::from_caller(Some("req-1")));
    let mut llm = llm_span(&gateway, "gemma3:270m");
    llm.error_type = Some("timeout".to_owned());
    llm.cause = Some(Cause::ColdStart);
    llm.model_requested = Some("tinyllama:latest".to_owned());
    llm.input_tokens = Some(9);
    llm.stream = Some(true);
    llm.timings = Timings { load_ns: Some(400), ..Timings::default() };

    put(&store, spans(vec![llm.clone()]));
    let row = page(&store, "").traces.remove(0);
    assert_eq!((row.service.as_str(), row.start_ns), ("proxy", llm.start_ns));
    assert_eq!((row.duration_ns, row.span_count), (llm.duration_ns, 1));
    put(&store, spans(vec![gateway]));
    put(&store, spans(vec![browser.clone()]));

    let check = |store: &EmbeddedStore| {
        let page = page(store, "");
        assert_eq!(page.traces.len(), 1);
        let row = &page.traces[0];
        assert_eq!((row.start_ns, row.duration_ns), (browser.start_ns, 3 * SECOND));
        assert_eq!((row.service.as_str(), row.name.as_str()), ("gateway", "POST /chat"));
        assert_eq!(row.resource.as_deref(), Some("/chat"));
        assert_eq!((row.status, row.http_status), (Status::Error, Some(504)));
        assert_eq!(row.error_type.as_deref(), Some("timeout"));
        assert_eq!((row.cause, row.cold_start), (Some(Cause::ColdStart), true));
        assert_eq!(row.model.as_deref(), Some("gemma3:270m"));
        assert_eq!(row.model_requested.as_deref(), Some("tinyllama:latest"));
        assert_eq!((row.input_tokens, row.output_tokens), (Some(9), None));
        assert_eq!((row.span_count, row.stream), (3, Some(true)));
        assert_eq!(row.request_id.as_deref(), Some("req-1"));
        assert_eq!(row.timings.load_ns, Some(400));
    };
    check(&store);
    drop(store);
    check(&open(folder.path()));
}

#[test]
fn tokens_of_several_calls_add_up_and_a_call_seen_twice_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let root = span(1, 1);
    let mut first = llm_span(&root, "a");
    first.output_tokens = Some(10);
    let mut inside = llm_span(&first, "a");
    inside.output_tokens = Some(10);
    inside.input_tokens = Some(5);
    let mut second = llm_span(&root, "b");
    second.start_ns += SECOND / 2;
    second.output_tokens = Some(7);
    put(&store, spans(vec![root, first, inside, second]));
    let row = page(&store, "").traces.remove(0);
    assert_eq!((row.output_tokens, row.input_tokens), (Some(17), Some(5)));
    assert_eq!(row.model.as_deref(), Some("b"), "the last call");
}

#[test]
fn an_embedding_is_a_call_but_a_text_says_which_model_answered() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut alone = llm_span(&span(1, 1), "embedder");
    alone.llm_kind = Some(LlmKind::Embedding);
    alone.input_tokens = Some(3);
    let root = span(2, 2);
    let answer = llm_span(&root, "writer");
    let mut later = llm_span(&root, "embedder");
    later.llm_kind = Some(LlmKind::Embedding);
    later.start_ns += SECOND / 2;
    put(&store, spans(vec![alone, root, answer, later]));
    let rows = page(&store, "").traces;
    let models: Vec<_> = rows.iter().map(|row| row.model.as_deref()).collect();
    assert_eq!(models, [Some("writer"), Some("embedder")]);
    assert_eq!(rows[1].input_tokens, Some(3));
}

#[test]
fn spans_in_a_ring_and_extreme_times_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut one = llm_span(&span(1, 1), "a");
    let mut other = llm_span(&one, "a");
    one.parent_id = Some(other.span_id);
    other.start_ns = u64::MAX;
    other.duration_ns = u64::MAX;
    let mut oneself = span(2, 0);
    oneself.parent_id = Some(oneself.span_id);
    put(&store, spans(vec![one, other, oneself]));
    assert_eq!(numbers(&page(&store, "")), [1, 2]);
}

/// Trace n began at second 100 + n.
fn assorted(store: &EmbeddedStore) {
    for number in 0..6 {
        let mut root = span(number, 100 + number);
        root.duration_ns = number * SECOND;
        root.session_id = Some(format!("session-{}", number % 2));
        let model = if number < 4 { "llama3" } else { "llama3.2:1b" };
        let mut llm = llm_span(&root, model);
        llm.cause = Some(if number == 3 { Cause::Queue } else { Cause::None });
        if number == 2 {
            llm.status = Status::Error;
            llm.error_type = Some("out_of_memory".to_owned());
        }
        if number == 1 {
            (root.host, llm.host) = (Some("vps".to_owned()), Some("gpu-box".to_owned()));
        }
        if number == 5 {
            root.host = Some("vps".to_owned());
            root.service = "web shop".to_owned();
            root.name = "GET /東京".to_owned();
        }
        put(store, spans(vec![root, llm]));
    }
}

#[test]
fn filters_pick_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assorted(&store);
    pick_what_they_say(&store);
    store.seal().unwrap();
    pick_what_they_say(&store);
}

fn pick_what_they_say(store: &EmbeddedStore) {
    let hex = id(4).to_string();
    for (filter, expected) in [
        ("", vec![5, 4, 3, 2, 1, 0]),
        ("service:gateway", vec![4, 3, 2, 1, 0]),
        ("-service:gateway", vec![5]),
        ("service:\"web shop\"", vec![5]),
        ("service:\"web\"", vec![]),
        ("service:SHOP", vec![5]),
        ("model:llama3", vec![5, 4, 3, 2, 1, 0]),
        ("model:\"llama3\"", vec![3, 2, 1, 0]),
        ("llama3.2:1b", vec![5, 4]),
        ("status:error", vec![2]),
        ("-status:error -status:unset", vec![5, 4, 3, 1, 0]),
        ("cause:queue", vec![3]),
        ("duration:>=4s", vec![5, 4]),
        ("duration:<1500ms -duration:<1s", vec![1]),
        ("duration:>0.05m", vec![5, 4]),
        ("session:session-1", vec![5, 3, 1]),
        ("host:gpu", vec![1]),
        ("host:\"vps\"", vec![5]),
        ("-host:gpu-box -host:vps", vec![4, 3, 2, 0]),
        ("session:\"session-1\" cause:queue", vec![3]),
        ("memory", vec![2]),
        ("東京", vec![5]),
        ("\"get /東\"", vec![5]),
        (&hex, vec![4]),
        (&hex[..31], vec![5, 4, 3, 2, 1, 0]),
        (&hex[1..], vec![]),
    ] {
        assert_eq!(numbers(&page(store, filter)), expected, "{filter}");
    }
}

#[test]
fn facets_count_what_matches_on_all_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assorted(&store);
    let query = TraceQuery { limit: 1, ..TraceQuery::default() };
    let page = store.traces(&query).unwrap();
    let count = |value: &str, count| FacetCount { value: value.to_owned(), count };
    assert_eq!(page.facets.service, [count("gateway", 5), count("web shop", 1)]);
    assert_eq!(page.facets.model, [count("llama3", 4), count("llama3.2:1b", 2)]);
    assert_eq!(page.facets.status, [count("ok", 5), count("error", 1)]);
    assert_eq!(page.facets.cause, [count("none", 5), count("queue", 1)]);
    assert_eq!((page.total_matched, page.traces.len()), (6, 1));
    let json = serde_json::to_value(&page.traces[0]).unwrap();
    assert_eq!(json["trace_id"], id(5).to_string());
    assert_eq!((&json["cold_start"], &json["status"]), (&false.into(), &"ok".into()));
    assert_eq!(json["timings"]["queue_ns"], serde_json::Value::Null);
}

#[test]
fn a_time_range_takes_its_start_and_leaves_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assorted(&store);
    let range = |from: Option<u64>, to: Option<u64>| {
        let (from_ns, to_ns) = (from.map(|s| s * SECOND), to.map(|s| s * SECOND));
        numbers(&store.traces(&TraceQuery { from_ns, to_ns, ..TraceQuery::default() }).unwrap())
    };
    assert_eq!(range(Some(102), Some(104)), [3, 2]);
    assert_eq!(range(Some(104), None), [5, 4]);
    assert_eq!(range(None, Some(101)), [0]);
    assert_eq!(range(Some(104), Some(102)), [] as [u64; 0]);
}

#[test]
fn pages_neither_repeat_nor_skip_while_new_traces_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..25 {
        // Five at a time began in the same nanosecond.
        put(&store, spans(vec![span(number, 100 + number / 5)]));
    }
    let mut seen = Vec::new();
    let mut cursor: Option<Cursor> = None;
    for round in 0.. {
        let query = TraceQuery { limit: 4, cursor, ..TraceQuery::default() };
        let page = store.traces(&query).unwrap();
        assert_eq!(page.total_matched, 25 + round);
        seen.extend(numbers(&page));
        put(&store, spans(vec![span(1_000 + round, 1_000 + round)]));
        let Some(next) = page.next_cursor else { break };
        cursor = Some(next.parse().unwrap());
    }
    assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
}

#[test]
fn a_trace_in_segments_is_listed_and_found_as_one_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { hot_bytes: 8_000, ..small_files() };
    let store = EmbeddedStore::open(folder.path(), config.clone()).unwrap();
    for number in 0..40 {
        put(&store, with_text(span(number, 100 + number), &incompressible(1_500)));
    }
    let check = |store: &EmbeddedStore| {
        assert_eq!(numbers(&page(store, "")), (0..40).rev().collect::<Vec<_>>());
        for number in 0..40 {
            let trace = store.trace(id(number)).unwrap().unwrap();
            assert_eq!((trace.spans.len(), trace.contents.len()), (1, 1), "{number}");
        }
        assert_eq!(store.trace(id(99)).unwrap(), None);
    };
    check(&store);
    assert!(segment_files(folder.path(), "spans").len() > 2);
    drop(store);
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    check(&store);
    store.seal().unwrap();
    check(&store);
    assert_eq!(store.state().traces, 40);
}

#[test]
fn a_trace_whose_spans_come_hours_apart_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let root = span(1, 10_000);
    let llm = llm_span(&root, "gemma3:270m");
    put(&store, spans(vec![llm.clone()]));
    let check = |store: &EmbeddedStore, name: &str, spans: u64| {
        let page = page(store, "");
        assert_eq!((page.traces.len(), page.total_matched), (1, 1));
        assert_eq!((page.traces[0].name.as_str(), page.traces[0].span_count), (name, spans));
        assert_eq!(page.facets.service.len(), 1);
        assert_eq!(store.trace(id(1)).unwrap().unwrap().spans.len() as u64, spans);
        assert_eq!((store.state().traces, store.state().spans), (1, spans));
    };
    store.seal().unwrap();
    check(&store, "chat", 1);
    put(&store, spans(vec![root.clone()]));
    check(&store, "POST /chat", 2);
    store.seal().unwrap();
    check(&store, "POST /chat", 2);
    // Sent again, with what is in segments and what is not.
    let mut late = llm_span(&root, "gemma3:270m");
    late.start_ns += 3_600 * SECOND;
    put(&store, spans(vec![root, llm, late]));
    check(&store, "POST /chat", 3);
    drop(store);
    let store = open(folder.path());
    check(&store, "POST /chat", 3);
    store.seal().unwrap();
    check(&store, "POST /chat", 3);
}

#[test]
fn a_trace_with_more_spans_than_the_limit_is_cut_with_a_count() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { spans_per_trace: 100, ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    let root = span(1, 1);
    let mut all = vec![root.clone()];
    all.extend((0..149).map(|_| llm_span(&root, "m")));
    put(&store, spans(all));
    assert_eq!(page(&store, "").traces[0].span_count, 150);
    let trace = store.trace(id(1)).unwrap().unwrap();
    assert_eq!((trace.spans.len(), trace.omitted), (100, 50));
}

#[test]
fn evaluations_before_and_after_their_spans_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let root = span(1, 10);
    put(&store, thumb(&root, 1.0));
    assert_eq!(page(&store, "").total_matched, 0, "no span, no row");
    put(&store, spans(vec![root.clone()]));
    put(&store, thumb(&root, 1.0));
    assert_eq!(store.trace(id(1)).unwrap().unwrap().evaluations.len(), 1, "sent twice");
    let rows = page(&store, "").traces;
    assert_eq!((rows.len(), rows[0].start_ns), (1, root.start_ns));
}

#[test]
fn a_thumb_for_a_trace_in_segments_does_not_hide_its_spans() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let old = span(0, 1);
    put(&store, spans(vec![old.clone()]));
    store.seal().unwrap();
    let mut late = old.clone();
    late.start_ns = 5_000 * SECOND;
    put(&store, thumb(&late, 1.0));
    for _ in 0..2 {
        let trace = store.trace(id(0)).unwrap().unwrap();
        assert_eq!((trace.spans, trace.evaluations.len()), (vec![old.clone()], 1));
        assert_eq!(page(&store, "").total_matched, 1);
        store.seal().unwrap();
    }
}

#[test]
fn traces_are_found_by_the_attributes_of_their_spans() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..9 {
        let root = span(number, 100 + number);
        let mut call = llm_span(&root, "gemma3:270m");
        call.attributes.set("user.plan", if number % 3 == 0 { "Pro" } else { "free" });
        call.attributes.set("turn", number as i64);
        put(&store, spans(vec![root, call]));
        if number == 4 {
            store.seal().unwrap();
        }
    }
    let found = |filter| numbers(&page(&store, filter));
    assert_eq!(found("@user.plan:pro"), [6, 3, 0]);
    assert!(found("@user.plan:\"pr\"").is_empty());
    assert_eq!(found("@user.plan:pro @turn:3"), [3]);
    assert_eq!(found("@user.plan:fr service:gateway @turn:\"7\""), [7]);
    assert!(found("@plan:pro").is_empty());
}
