use std::{fs, path::Path};

use andon_store::{Store, StoreStats, TableStats};

use crate::support::*;

fn of<'a>(stats: &'a StoreStats, table: &str) -> &'a TableStats {
    stats.tables.iter().find(|stats| stats.table == table).unwrap()
}

fn bytes_of(folder: &Path, table: &str) -> u64 {
    let sizes = segment_files(folder, table).into_iter().map(|file| fs::metadata(file).unwrap());
    sizes.map(|size| size.len()).sum()
}

#[test]
fn rows_are_counted_in_memory_and_then_in_segments() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for trace in 0..3 {
        put(&store, with_text(span(trace, 10 + trace), "東京"));
    }
    put(&store, thumb(&span(1, 11), 1.0));
    let stats = store.stats();
    let spans = of(&stats, "spans");
    assert_eq!((spans.segments, spans.rows, spans.rows_in_memory), (0, 0, 3));
    assert_eq!((spans.from_ns, spans.to_ns), (Some(10 * SECOND), Some(12 * SECOND)));
    assert_eq!(spans.bytes_per_row, None);
    assert_eq!((of(&stats, "traces").rows_in_memory, stats.total.rows_in_memory), (3, 10));
    let log = &log_files(folder.path());
    assert_eq!((stats.log.files, stats.log.bytes), (1, fs::metadata(&log[0]).unwrap().len()));

    store.seal().unwrap();
    put(&store, spans_of(20));
    let stats = store.stats();
    let spans = of(&stats, "spans");
    assert_eq!((spans.segments, spans.rows, spans.rows_in_memory), (1, 3, 1));
    assert_eq!((spans.from_ns, spans.to_ns), (Some(10 * SECOND), Some(20 * SECOND)));
    for table in ["spans", "contents", "evaluations", "traces", "rollups"] {
        let bytes = bytes_of(folder.path(), table);
        assert_eq!(of(&stats, table).bytes, bytes, "{table}");
        let rows = of(&stats, table).rows as f64;
        assert_eq!(of(&stats, table).bytes_per_row, Some(bytes as f64 / rows));
    }
    let hosts = of(&stats, "hosts");
    assert_eq!((hosts.rows, hosts.bytes_per_row, hosts.from_ns), (0, None, None));
    assert_eq!((stats.total.segments, stats.total.rows, stats.unreadable_files), (5, 11, 0));
    assert_eq!(stats.total.to_ns, Some(20 * SECOND));
}

fn spans_of(start_s: u64) -> andon_store::Record {
    spans(vec![span(9, start_s)])
}
