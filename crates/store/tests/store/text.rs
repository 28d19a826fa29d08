use std::fs;

use andon_store::{Config, EmbeddedStore, Filter, Store};

use crate::support::*;

const TEXTS: [&str; 6] = [
    "東京の天気はどうですか。",
    "京都の紅葉はいつが見頃ですか。",
    "What is the weather in TOKYO today?",
    "Error 0x7F3A in module gpu_driver",
    "東京と京都、どちらが古い都ですか。",
    "weather report for Kyoto",
];

fn found(store: &EmbeddedStore, filter: &str) -> Vec<u64> {
    let page = page(store, filter);
    assert!(!page.is_partial);
    assert_eq!(page.total_matched, page.traces.len() as u64);
    numbers(&page)
}

fn check(store: &EmbeddedStore) {
    for (filter, expected) in [
        ("text:天気", vec![0]),
        ("text:東京", vec![4, 0]),
        ("text:東京 text:京都", vec![4]),
        ("text:都", vec![4, 1]),
        ("text:weather", vec![5, 2]),
        ("text:tokyo", vec![2]),
        ("text:\"weather in\"", vec![2]),
        ("text:0x7f3a", vec![3]),
        ("text:gpu_driver service:gateway", vec![3]),
        ("text:weather service:nobody", vec![]),
        ("text:大阪", vec![]),
        ("text:ですか。", vec![4, 1, 0]),
    ] {
        assert_eq!(found(store, filter), expected, "{filter}");
    }
}

#[test]
fn words_of_any_language_are_found_in_memory_in_segments_and_in_merged_ones() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), Config::default()).unwrap();
    for (number, text) in (0..).zip(TEXTS) {
        put(&store, with_text(span(number, 100 + number), text));
        if number % 2 == 1 {
            store.seal().unwrap();
        }
    }
    check(&store);
    store.compact();
    check(&store);
    // Without the index, and with a damaged one, everything is read instead.
    let index = |path: &std::path::PathBuf| path.extension().is_some_and(|ext| ext == "grams");
    let files = segment_files(folder.path(), "contents");
    let indexes: Vec<_> = files.iter().filter(|path| index(path)).collect();
    assert!(!indexes.is_empty());
    for path in &indexes {
        let mut bytes = fs::read(path).unwrap();
        bytes[10] ^= 1;
        fs::write(path, bytes).unwrap();
    }
    check(&store);
    indexes.iter().for_each(|path| fs::remove_file(path).unwrap());
    check(&store);
}

#[test]
fn a_search_that_ends_early_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { search_traces: 3, ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    for number in 0..10 {
        put(&store, with_text(span(number, 100 + number), "the same words"));
        store.seal().unwrap();
    }
    let page = page(&store, "text:same");
    assert!(page.is_partial);
    assert_eq!(numbers(&page), [9, 8, 7], "the newest");
}

#[test]
fn a_time_bounds_the_search_and_leaving_texts_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..4 {
        put(&store, with_text(span(number, 100 + number), "words"));
    }
    store.seal().unwrap();
    let query = andon_store::TraceQuery {
        from_ns: Some(101 * SECOND),
        to_ns: Some(103 * SECOND),
        filter: Filter::parse("text:words").unwrap(),
        ..Default::default()
    };
    assert_eq!(numbers(&store.traces(&query).unwrap()), [2, 1]);
    let refused = Filter::parse("service:a -text:words").unwrap_err();
    assert_eq!(refused.position, 11);
}
