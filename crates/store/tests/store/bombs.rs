//! What is far too large comes in all the same, bounded.

use std::fs;

use andon_model::Span;
use andon_store::Store;

use crate::support::*;

/// Bytes of all files below.
fn size(folder: &std::path::Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { size(&path) } else { fs::metadata(&path).unwrap().len() })
        .sum()
}

fn bomb(number: u64) -> Span {
    let mut bomb = span(number, 100 + number);
    // Of those that stay no two are alike, so that no compression hides their size.
    let texts = incompressible(100 * 10_000);
    for key in 0..10_000 {
        let text = &texts[key % 100 * 10_000..][..10_000];
        bomb.attributes.set(format!("key.{key}"), format!("{number}/{key}/{text}"));
    }
    bomb.attributes.set("gen_ai.request.temperature", 0.5);
    bomb.name = "é".repeat(1 << 20);
    bomb.model = Some("m".repeat(1 << 20));
    bomb
}

#[test]
fn ten_thousand_attributes_of_ten_kilobytes_are_kept_bounded_and_can_be_read() {
    const BOMBS: u64 = 3;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..BOMBS {
        put(&store, spans(vec![bomb(number)]));
    }
    assert!(size(folder.path()) < BOMBS * 80_000, "{}", size(folder.path()));
    let in_log = store.trace(id(1)).unwrap().unwrap();
    store.seal().unwrap();
    let sealed = store.trace(id(1)).unwrap().unwrap();
    assert_eq!(sealed, in_log);
    let Span { name, attributes, .. } = &sealed.spans[0];
    assert_eq!((name.len(), attributes.weight() <= 64 << 10), (1 << 10, true));
    assert_eq!(attributes["gen_ai.request.temperature"], 0.5.into());
    assert_eq!(attributes["andon.cut.fields"], "name, model".into());
    let left_out = 10_000 - (attributes.len() as i64 - 3);
    assert_eq!(attributes["andon.cut.attributes"], left_out.into());
    assert!(size(folder.path()) < BOMBS * 80_000, "{}", size(folder.path()));
    assert_eq!(numbers(&page(&store, "")), [2, 1, 0]);
    drop(store);
    assert_eq!(open(folder.path()).trace(id(1)).unwrap().unwrap(), sealed);
}
