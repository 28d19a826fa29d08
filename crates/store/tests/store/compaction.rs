use andon_store::{Config, EmbeddedStore, Store};

use crate::support::*;

#[test]
fn the_segments_of_a_day_that_is_over_become_one_of_each_table() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { merged_segments: 4, ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    for number in 0..6 {
        let root = span(number, 100 + number);
        put(&store, with_text(llm_span(&root, "gemma3:270m"), "東京の天気は？"));
        put(&store, spans(vec![root.clone()]));
        put(&store, thumb(&root, 1.0));
        store.seal().unwrap();
    }
    // A span that comes late writes its trace's row anew.
    put(&store, spans(vec![llm_span(&span(3, 103), "qwen3:8b")]));
    store.seal().unwrap();
    let check = |store: &EmbeddedStore| {
        let page = page(store, "");
        assert_eq!(numbers(&page), [5, 4, 3, 2, 1, 0]);
        let counts: Vec<_> = page.traces.iter().map(|trace| trace.span_count).collect();
        assert_eq!(counts, [2, 2, 3, 2, 2, 2]);
        for number in 0..6 {
            let trace = store.trace(id(number)).unwrap().unwrap();
            let parts = (trace.spans.len(), trace.contents.len(), trace.evaluations.len());
            assert_eq!(parts, (if number == 3 { 3 } else { 2 }, 1, 1));
        }
        assert_eq!((store.state().spans, store.state().traces), (13, 6));
    };
    check(&store);
    assert!(segment_files(folder.path(), "spans").len() > 4);
    store.compact();
    for (table, most) in [("spans", 4), ("contents", 3), ("evaluations", 3), ("traces", 4)] {
        assert!(segment_files(folder.path(), table).len() <= most, "{table}");
    }
    check(&store);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.state().replay.faults, []);
    check(&store);
}
