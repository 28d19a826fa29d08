use std::fs;

use andon_generate::Recipe;
use andon_model::Policy;
use andon_privacy::NoticeLanguage;
use andon_store::{Config, ExportFormat, Selection, Table, export};

use super::*;

const TABLES: [Table; 3] = [Table::Spans, Table::Contents, Table::Evaluations];

fn open(folder: &Path) -> EmbeddedStore {
    EmbeddedStore::open(folder, Config::default()).unwrap()
}

fn lines_of(folder: &Path, table: Table) -> Vec<u8> {
    let store = open(folder);
    store.seal().unwrap();
    let (from_ns, to_ns) = (0, u64::MAX);
    let mut lines = Vec::new();
    let selection = Selection { table, from_ns, to_ns };
    export(folder, selection, ExportFormat::JsonLines, &mut lines).unwrap();
    lines
}

fn sorted(lines: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(lines).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A folder with 600 made-up spans, their texts in full, and a judgement about every tenth.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let end_ns = 1_700_000_000_000_000_000;
    let recipe = Recipe { spans: 600, days: 2, seed: 3, end_ns, contents: 200 };
    let protector = Protector::new(Policy::Full, NoticeLanguage::English);
    for trace in recipe.generate() {
        let batch = protector.protect(trace);
        let judged = batch.get().spans.iter().step_by(10).map(|span| Evaluation {
            trace_id: span.trace_id,
            span_id: span.span_id,
            time_ns: span.end_ns(),
            evaluator: "user".to_owned(),
            version: None,
            metric_type: andon_model::MetricType::Score,
            score: Some(0.5),
            label: None,
            reason: None,
            source: andon_model::EvaluationSource::Human,
            duration_ns: None,
        });
        let judged = judged.collect();
        append(&store, Record::Spans(batch)).unwrap();
        append(&store, Record::Evaluations(judged)).unwrap();
    }
    folder
}

fn import(folder: &Path, policy: Policy, lines: &[u8]) -> (anyhow::Result<()>, Taken) {
    let file = folder.join("lines.jsonl");
    fs::write(&file, lines).unwrap();
    let store = open(folder);
    let mut import = Import::new(&store, Protector::new(policy, NoticeLanguage::English));
    let outcome = import.read(&file);
    (outcome, import.taken)
}

#[test]
fn what_was_exported_comes_in_the_same_and_once() {
    let (from, to) = (filled(), tempfile::tempdir().unwrap());
    let exported = TABLES.map(|table| lines_of(from.path(), table));
    for round in 0..2 {
        let all = exported.concat();
        let (outcome, taken) = import(to.path(), Policy::Full, &all);
        outcome.unwrap();
        assert_eq!(taken.known > 0, round == 1, "{taken:?}");
        for (table, lines) in TABLES.into_iter().zip(&exported) {
            assert!(!lines.is_empty());
            assert_eq!(sorted(&lines_of(to.path(), table)), sorted(lines), "{}", table.name());
        }
    }
}

#[test]
fn a_stricter_policy_holds_for_what_comes_in() {
    let (from, to) = (filled(), tempfile::tempdir().unwrap());
    let contents = lines_of(from.path(), Table::Contents);
    import(to.path(), Policy::Mask(2), &contents).0.unwrap();
    let kept = lines_of(to.path(), Table::Contents);
    assert_eq!(sorted(&kept).len(), sorted(&contents).len());
    for line in sorted(&kept) {
        let content: Content = serde_json::from_str(&line).unwrap();
        assert!(content.kept_length <= 2 && content.policy == Policy::Mask(2), "{line}");
    }
}

#[test]
fn an_error_names_the_line_and_what_came_before_is_kept() {
    let (from, to) = (filled(), tempfile::tempdir().unwrap());
    let spans = lines_of(from.path(), Table::Spans);
    let nested = format!("{{\"attributes\":{}", "[".repeat(100_000));
    let good: Vec<_> = spans.split_inclusive(|byte| *byte == b'\n').take(3).collect();
    for (bad, reason) in [
        (&b"{\"trace_id\": 1"[..], "not JSON"),
        (b"{\"name\": \"x\"}", "neither a span, a text nor an evaluation"),
        (b"{\"trace_id\":1,\"span_id\":2,\"evaluator\":\"x\"}", "no whole evaluation"),
        (nested.as_bytes(), "not JSON"),
        (
            b"{\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\"b7ad6b7169203331\",\
            \"start_ns\":1,\"service\":\"s\",\"name\":\"n\",\"attributes\":{\"a\":[[1]]}}",
            "no whole span",
        ),
    ] {
        let lines = [good.concat(), b"\n".to_vec(), bad.to_vec()].concat();
        let (outcome, taken) = import(to.path(), Policy::Full, &lines);
        let error = format!("{:#}", outcome.unwrap_err());
        assert!(error.contains("lines.jsonl, line 5: ") && error.contains(reason), "{error}");
        assert_eq!(taken.spans, 3);
        assert_eq!(sorted(&lines_of(to.path(), Table::Spans)).len(), 3);
    }
}

#[test]
fn a_span_with_too_much_in_it_comes_in_cut_and_says_so() {
    let to = tempfile::tempdir().unwrap();
    let attributes: serde_json::Map<_, _> =
        (0..5_000).map(|n| (format!("key.{n}"), "x".repeat(2_000).into())).collect();
    let line = serde_json::json!({
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
        "start_ns": 1, "service": "あ".repeat(100_000), "name": "n", "attributes": attributes,
    });
    import(to.path(), Policy::Full, line.to_string().as_bytes()).0.unwrap();
    let kept = lines_of(to.path(), Table::Spans);
    let span: Span = serde_json::from_slice(kept.trim_ascii()).unwrap();
    assert!(kept.len() < 80_000, "{}", kept.len());
    assert_eq!(span.service.chars().count(), 341);
    assert_eq!(span.attributes["andon.cut.fields"], "service".into());
    // And comes in as it is from here on.
    let again = tempfile::tempdir().unwrap();
    import(again.path(), Policy::Full, &kept).0.unwrap();
    assert_eq!(lines_of(again.path(), Table::Spans), kept);
}
