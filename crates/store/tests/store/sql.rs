use std::time::Duration;

use andon_model::{MetricKind, MetricPoint, Temporality};
use andon_store::{Answer, Config, EmbeddedStore, Format, Record, SqlError, Store};

use crate::support::*;

fn ask(store: &EmbeddedStore, text: &str) -> Result<Answer, SqlError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answering = store.sql(text)?;
    runtime.block_on(answering)
}

fn json(store: &EmbeddedStore, text: &str) -> serde_json::Value {
    let mut bytes = Vec::new();
    ask(store, text).unwrap().write(Format::Json, &mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Traces 0 to 19 with a call to a model each; the first ten are in segments.
fn half_sealed() -> (tempfile::TempDir, EmbeddedStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..20 {
        let root = span(number, 100 + number);
        let mut llm = llm_span(&root, if number % 2 == 0 { "gemma3:270m" } else { "qwen3:8b" });
        llm.output_tokens = Some(number);
        llm.attributes.set("andon.turn", number);
        put(&store, with_text(llm, "東京の天気は？"));
        put(&store, spans(vec![root.clone()]));
        put(&store, thumb(&root, 1.0));
        if number == 9 {
            store.seal().unwrap();
        }
    }
    (folder, store)
}

#[test]
fn metrics_are_a_table_before_and_after_they_are_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let now_ns = andon_model::Span::now_ns();
    let points = (0..10u64).map(|at| {
        let name = if at % 2 == 0 { "tokens" } else { "duration" };
        let mut point = MetricPoint::new(name, MetricKind::Sum, now_ns + at);
        point.temporality = Some(Temporality::Delta);
        point.value = Some(at as f64);
        point.tags.set("gen_ai.token.type", "input");
        point
    });
    put(&store, Record::Metrics(points.collect()));
    let question = "SELECT name, kind, temporality, sum(value) AS value, count(max) AS max, \
                    max(tags['gen_ai.token.type']) AS of \
                    FROM metrics GROUP BY name, kind, temporality ORDER BY name";
    let expected = serde_json::json!([
        {"name": "duration", "kind": "sum", "temporality": "delta", "value": 25.0, "max": 0,
         "of": "input"},
        {"name": "tokens", "kind": "sum", "temporality": "delta", "value": 20.0, "max": 0,
         "of": "input"},
    ]);
    assert_eq!(json(&store, question), expected);
    store.seal().unwrap();
    assert_eq!(json(&store, question), expected);
    drop(store);
    let store = open(folder.path());
    assert_eq!(json(&store, question), expected);
}

#[test]
fn memory_and_segments_are_one_table() {
    let (_folder, store) = half_sealed();
    let counts = "SELECT service, count(*) AS spans, sum(output_tokens) AS tokens \
                  FROM spans GROUP BY service ORDER BY service";
    let expected = serde_json::json!([
        {"service": "gateway", "spans": 20},
        {"service": "proxy", "spans": 20, "tokens": 190},
    ]);
    assert_eq!(json(&store, counts), expected);
    store.seal().unwrap();
    assert_eq!(json(&store, counts), expected);
    let joined = "SELECT count(*) AS n FROM spans JOIN contents USING (span_id) \
                  WHERE model = 'gemma3:270m' AND text LIKE '%天気%'";
    assert_eq!(json(&store, joined), serde_json::json!([{"n": 10}]));
    let thumbs = "SELECT evaluator, avg(score) AS score, count(*) AS n FROM evaluations GROUP BY 1";
    assert_eq!(
        json(&store, thumbs),
        serde_json::json!([{"evaluator": "user", "score": 1.0, "n": 20}])
    );
    let percentile = "SELECT approx_percentile_cont(duration_ns, 0.95) AS p95 FROM spans";
    assert_eq!(json(&store, percentile), serde_json::json!([{"p95": 1e9}]));
}

#[test]
fn ids_are_text_and_found_by_it() {
    let (_folder, store) = half_sealed();
    for number in [3, 15] {
        let text = format!(
            "SELECT trace_id, name FROM spans WHERE trace_id = '{}' ORDER BY start_ns",
            id(number)
        );
        let expected = serde_json::json!([
            {"trace_id": id(number).to_string(), "name": "POST /chat"},
            {"trace_id": id(number).to_string(), "name": "chat"},
        ]);
        assert_eq!(json(&store, &text), expected, "{number}");
    }
    for nowhere in ["'xyz'", "'00'", "''", "upper('a5')"] {
        let text = format!("SELECT count(*) AS n FROM spans WHERE trace_id = {nowhere}");
        assert_eq!(json(&store, &text), serde_json::json!([{"n": 0}]), "{nowhere}");
    }
    let some = format!(
        "SELECT count(*) AS n FROM spans WHERE trace_id IN ('{}', '{}') AND parent_id IS NULL",
        id(1),
        id(11)
    );
    assert_eq!(json(&store, &some), serde_json::json!([{"n": 2}]));
}

#[test]
fn attributes_are_asked_for_by_name() {
    let (_folder, store) = half_sealed();
    let text = "SELECT output_tokens AS n FROM spans WHERE attributes['andon.turn'] = '17'";
    assert_eq!(json(&store, text), serde_json::json!([{"n": 17}]));
}

#[test]
fn a_time_leaves_out_segments_and_rows() {
    let (_folder, store) = half_sealed();
    for (from_s, to_s, expected) in [(0, 1_000, 20), (105, 112, 7), (112, 105, 0), (115, 116, 1)] {
        let text = format!(
            "SELECT count(*) AS n FROM spans WHERE service = 'gateway' AND start_ns >= {} \
             AND {} > start_ns",
            from_s * SECOND,
            to_s * SECOND
        );
        assert_eq!(json(&store, &text), serde_json::json!([{"n": expected}]), "{from_s} {to_s}");
    }
}

#[test]
fn nothing_can_be_changed_and_no_other_file_be_read() {
    let (folder, store) = half_sealed();
    store.seal().unwrap();
    let segment = segment_files(folder.path(), "spans")[0].display().to_string();
    let copied = folder.path().join("copied.csv").display().to_string();
    for text in [
        "DROP TABLE spans".to_owned(),
        "INSERT INTO spans SELECT * FROM spans".to_owned(),
        "CREATE TABLE mine AS SELECT 1".to_owned(),
        "CREATE VIEW mine AS SELECT 1".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        format!("COPY spans TO '{copied}'"),
        format!("CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '{segment}'"),
        format!("SELECT * FROM '{segment}'"),
        "SELECT * FROM '/etc/passwd'".to_owned(),
        "SELECT * FROM read_csv('/etc/passwd')".to_owned(),
    ] {
        match ask(&store, &text) {
            Err(SqlError::Invalid(_)) => {}
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(!folder.path().join("copied.csv").exists());
    assert_eq!(json(&store, "SELECT count(*) AS n FROM spans"), serde_json::json!([{"n": 40}]));
}

#[test]
fn a_data_folder_may_have_any_name() {
    for name in ["データ", "a b", "100%", "%41", "a#b?c", "a:b", "~", "a\\b", "*", "b/../c"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        let store = open(&folder.path().join(name));
        put(&store, spans(vec![span(1, 1)]));
        store.seal().unwrap();
        let counted = json(&store, "SELECT count(name) AS n FROM spans");
        assert_eq!(counted, serde_json::json!([{"n": 1}]), "{name}");
    }
}

#[test]
fn mistakes_are_named() {
    let (_folder, store) = half_sealed();
    for (text, named) in [
        ("SELECT nme FROM spans", "nme"),
        ("SELECT * FROM span", "span"),
        ("SELEC 1", "SELEC"),
        ("", ""),
        ("SELECT unheard_of(1)", "unheard_of"),
        ("SELECT 1; SELECT 2", ""),
    ] {
        match ask(&store, text) {
            Err(SqlError::Invalid(message)) => assert!(message.contains(named), "{message}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_question_has_bounds_of_rows_time_and_memory() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        sql_rows: 10,
        sql_time: Duration::from_millis(300),
        sql_memory_bytes: 4 << 20,
        sql_at_once: 1,
        ..Config::default()
    };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    for number in 0..20 {
        put(&store, spans(vec![span(number, number)]));
    }
    let answer = ask(&store, "SELECT name FROM spans").unwrap();
    assert_eq!((answer.rows(), answer.is_partial), (10, true));
    let answer = ask(&store, "SELECT name FROM spans LIMIT 10").unwrap();
    assert_eq!((answer.rows(), answer.is_partial), (10, false));

    let joined = |text: fn(u32) -> String, by: &str| (0..7).map(text).collect::<Vec<_>>().join(by);
    let endless = format!(
        "SELECT count(*) FROM {} WHERE {} < 0",
        joined(|n| format!("spans s{n}"), ", "),
        joined(|n| format!("s{n}.start_ns"), " + ")
    );
    let started = std::time::Instant::now();
    match ask(&store, &endless) {
        Err(SqlError::TooLong { limit_ms: 300 }) => {}
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(5));

    let many = "SELECT s1.span_id || s2.span_id || s3.span_id || s4.span_id AS x, count(*) \
                FROM spans s1, spans s2, spans s3, spans s4 GROUP BY x";
    match ask(&store, many) {
        Err(SqlError::TooMuch { limit_mib: 4 }) => {}
        other => panic!("{other:?}"),
    }

    let running = store.sql(&endless).unwrap();
    assert_eq!(store.sql("SELECT 1").err(), Some(SqlError::Busy { limit: 1 }));
    // Whoever leaves makes room.
    drop(running);
    let started = std::time::Instant::now();
    while store.sql("SELECT 1").is_err() {
        assert!(started.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_short_call_cannot_make_gigabytes() {
    let (_folder, store) = half_sealed();
    for text in [
        "SELECT repeat('x', 2000000000)",
        "SELECT length(repeat(name, 2000000000)) FROM spans",
        "SELECT length(repeat('x', start_ns)) FROM spans",
        "SELECT length(lpad(name, 1000000000)) FROM spans",
        "SELECT rpad('x', 2000000000, 'あ')",
    ] {
        match ask(&store, text) {
            Err(SqlError::Invalid(message)) => {
                assert!(message.contains("more text"), "{text}: {message}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let bars = "SELECT repeat('█', 3) AS bar, lpad('7', 3, '0') AS number, rpad('a', 2) AS wide, \
                repeat('x', -1) AS none, repeat(NULL, 2) AS nothing, lpad('x', NULL) AS neither";
    let expected = serde_json::json!([{"bar": "███", "number": "007", "wide": "a ", "none": ""}]);
    assert_eq!(json(&store, bars), expected);
    let by_row = "SELECT repeat('ab', output_tokens) AS bar FROM spans \
                  WHERE output_tokens IN (0, 2, 12) ORDER BY output_tokens";
    let expected = serde_json::json!([{"bar": ""}, {"bar": "abab"}, {"bar": "ab".repeat(12)}]);
    assert_eq!(json(&store, by_row), expected);
}

#[test]
fn an_answer_is_written_in_each_format_even_when_it_is_empty() {
    let (_folder, store) = half_sealed();
    let write = |text: &str, format| {
        let mut bytes = Vec::new();
        ask(&store, text).unwrap().write(format, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let one = "SELECT 'a,b' AS text, 1.5 AS number, NULL AS nothing";
    assert_eq!(write(one, Format::Json), r#"[{"text":"a,b","number":1.5}]"#);
    assert_eq!(write(one, Format::Csv), "text,number,nothing\n\"a,b\",1.5,\n");
    assert!(write(one, Format::Table).contains("| a,b  | 1.5    |         |"));
    let nested = "SELECT attributes FROM spans WHERE output_tokens = 17";
    assert_eq!(write(nested, Format::Csv), "attributes\n\"{\"\"andon.turn\"\":\"\"17\"\"}\"\n");
    assert_eq!(write(&format!("{nested} AND false"), Format::Csv), "attributes\n");
    let none = "SELECT name, start_ns FROM spans WHERE false";
    assert_eq!(write(none, Format::Json), "[]");
    assert_eq!(write(none, Format::Csv), "name,start_ns\n");
    assert!(write(none, Format::Table).contains("| name | start_ns |"));
}

#[test]
fn a_folder_may_be_named_from_where_one_is() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let here = std::env::current_dir().unwrap();
    let relative = folder.path().strip_prefix(&here).unwrap_or(folder.path());
    assert!(relative.is_relative());
    let store = open(relative);
    put(&store, spans(vec![span(1, 1)]));
    store.seal().unwrap();
    assert_eq!(ask(&store, "SELECT name FROM spans").unwrap().rows(), 1);
}
