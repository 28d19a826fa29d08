use andon_model::{Cause, Span, Timings};
use andon_store::{CallQuery, EmbeddedStore, Interrupt, Store};

use crate::support::*;

fn calls(store: &EmbeddedStore, from_s: u64, to_s: u64) -> Vec<Span> {
    let (from_ns, to_ns) = (from_s * SECOND, to_s * SECOND);
    let query = CallQuery { from_ns, to_ns, interrupt: Interrupt::default() };
    let mut calls = Vec::new();
    assert!(!store.visit_calls(&query, &mut |span| calls.push(span)).unwrap());
    calls.sort_by_key(|call| call.start_ns);
    calls
}

fn call(trace: u64, start_s: u64) -> Span {
    let mut call = llm_span(&span(trace, start_s), "gemma3:270m");
    call.start_ns = start_s * SECOND;
    call.input_tokens = Some(trace);
    call.timings = Timings { load_ns: Some(7), eval_ns: Some(8), ..Timings::default() };
    call.cause = Some(Cause::Evicted);
    call.session_id = Some("s".to_owned());
    call.attributes.set("andon.request.keep_alive", "10m");
    call
}

#[test]
fn calls_of_a_time_are_handed_out_with_what_their_time_went_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    for at in 0..20 {
        put(&store, spans(vec![span(at, 100 + at), call(at, 100 + at)]));
        if at == 12 {
            store.seal().unwrap();
        }
    }
    let found = calls(&store, 105, 115);
    let numbers: Vec<_> = found.iter().filter_map(|call| call.input_tokens).collect();
    // Some of a segment and some of memory; no span that is no call; the end is not in it.
    assert_eq!(numbers, (5..15).collect::<Vec<_>>());
    for found in found {
        let wanted = call(found.input_tokens.unwrap(), found.start_ns / SECOND);
        assert_eq!(found.timings, wanted.timings);
        assert_eq!((found.model, found.cause), (wanted.model, wanted.cause));
        assert_eq!((found.session_id, found.attributes), (wanted.session_id, wanted.attributes));
    }
    assert!(calls(&store, 0, 0).is_empty() && calls(&store, 500, 600).is_empty());
}

#[test]
fn a_question_that_nobody_wants_any_more_ends() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    put(&store, spans(vec![call(1, 100)]));
    let interrupt = Interrupt::default();
    drop(interrupt.when_dropped());
    let query = CallQuery { from_ns: 0, to_ns: u64::MAX, interrupt };
    assert!(store.visit_calls(&query, &mut |_| {}).is_err());
}
