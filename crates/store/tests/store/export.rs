use andon_model::Span;
use andon_store::{ExportFormat, Selection, Store, Table, export};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::*;

fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for trace in 0..12 {
        put(&store, spans(vec![span(trace, 100 - trace)]));
        if trace % 4 == 3 {
            store.seal().unwrap();
        }
    }
    folder
}

fn exported(folder: &std::path::Path, from_s: u64, to_s: u64) -> Vec<Span> {
    let (from_ns, to_ns) = (from_s * SECOND, to_s * SECOND);
    let selection = Selection { table: Table::Spans, from_ns, to_ns };
    let mut lines = Vec::new();
    let rows = export(folder, selection, ExportFormat::JsonLines, &mut lines).unwrap();
    let text = String::from_utf8(lines).unwrap();
    let read: Vec<Span> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows, read.len() as u64);
    read
}

#[test]
fn lines_are_spans_of_the_time_that_was_asked_for() {
    let folder = filled();
    let all = exported(folder.path(), 0, 1_000);
    assert_eq!(all.len(), 12);
    let store = open(folder.path());
    for span in &all {
        let kept = store.trace(span.trace_id).unwrap().unwrap().spans;
        assert_eq!(kept.as_slice(), std::slice::from_ref(span));
    }
    let some = exported(folder.path(), 92, 98);
    let mut starts: Vec<_> = some.iter().map(|span| span.start_ns / SECOND).collect();
    starts.sort_unstable();
    assert_eq!(starts, [92, 93, 94, 95, 96, 97]);
    assert!(exported(folder.path(), 98, 98).is_empty());
    assert!(exported(folder.path(), 200, 300).is_empty());
}

#[test]
fn parquet_is_one_file_that_others_can_read() {
    let folder = filled();
    let selection = Selection { table: Table::Spans, from_ns: 0, to_ns: u64::MAX };
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut to = file.reopen().unwrap();
    assert_eq!(export(folder.path(), selection, ExportFormat::Parquet, &mut to).unwrap(), 12);
    let written = file.reopen().unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(written).unwrap();
    let names: Vec<_> =
        builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert!(
        ["trace_id", "ttft_ns", "attributes"].iter().all(|name| names.iter().any(|of| of == name))
    );
    let rows: usize = builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 12);
    let none = Selection { table: Table::Hosts, ..selection };
    let mut empty = Vec::new();
    assert_eq!(export(folder.path(), none, ExportFormat::Parquet, &mut empty).unwrap(), 0);
    assert!(empty.starts_with(b"PAR1"));
}
