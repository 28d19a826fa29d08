//! Folders that earlier versions wrote are read by this one, row by row.
//!
//! `tests/fixtures/VERSION` is such a folder, with the rows of `known.rs`, as it was written then; nobody
//! writes it anew. Before a format grows, the folder of the version until then is added:
//!
//!     ANDON_FIXTURE=0.3 scripts/cargo.sh nextest run -p andon -p andon-store \
//!         --run-ignored only writes_the_folder_of_this_version
//!
//! `0.1` is a log with field names and a log of samples, and no segments. It was put together here
//! ([`writes_the_folder_of_0_1`]), as the versions before 0.2 wrote theirs.

use std::{
    fs,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use andon_store::{Config, EmbeddedStore, FaultKind, Record, Store, StoreError, verify};
use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    file::properties::WriterProperties,
};
use serde::Serialize;
use serde_json::json;

use crate::{known, known::*, support::*};

/// Kinds of frames of 0.1.
const NAMED_SPANS: u8 = 1;
const EVALUATIONS: u8 = 2;
const HOST: u8 = 3;
const PROCESSES: u8 = 4;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(version: &str) -> tempfile::TempDir {
    copy_folder(&fixtures().join(version))
}

fn make_folder(version: &str) -> PathBuf {
    let folder = fixtures().join(version);
    assert!(!folder.exists(), "{} is there already", folder.display());
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
#[ignore = "writes a folder for the tests of later versions"]
fn writes_the_folder_of_this_version() {
    let folder = make_folder(&std::env::var("ANDON_FIXTURE").expect("the version"));
    known::fill(&folder);
    for file in ["lock", "scrub.json"] {
        drop(fs::remove_file(folder.join(file)));
    }
}

#[test]
#[ignore = "wrote the folder of 0.1"]
fn writes_the_folder_of_0_1() {
    let folder = make_folder("0.1");
    let (mut log, mut samples) = (log_file(1), log_file(1));
    for record in (0..=SEALED).flat_map(records) {
        match record {
            Record::Spans(batch) => log.extend(frame(NAMED_SPANS, &named(batch.get()))),
            Record::Evaluations(rows) => log.extend(frame(EVALUATIONS, &named(&rows))),
            Record::Host(rows) => samples.extend(frame(HOST, &named(&rows))),
            Record::Processes(rows) => samples.extend(frame(PROCESSES, &named(&rows))),
            Record::Metrics(_) | Record::Devices(_) | Record::ModelEvents(_) => {
                unreachable!("0.1 knew none")
            }
        }
    }
    for (name, bytes) in [("log", log), ("samples", samples)] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("00000000000000000001.wal"), bytes).unwrap();
    }
}

/// The head of a file of the log.
fn log_file(sequence: u64) -> Vec<u8> {
    let mut head = b"ANDONWAL".to_vec();
    head.extend(1_u32.to_le_bytes());
    head.extend(sequence.to_le_bytes());
    head.extend((start_s(0) * SECOND).to_le_bytes());
    head.extend(crc32c::crc32c(&head).to_le_bytes());
    head
}

/// A frame; those of 256 bytes and more are packed.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![kind];
    if payload.len() < 256 {
        body.extend(payload);
    } else {
        body[0] |= 0x80;
        body.extend(lz4_flex::block::compress_prepend_size(payload));
    }
    let mut frame = (body.len() as u32).to_le_bytes().to_vec();
    frame.extend(crc32c::crc32c(&body).to_le_bytes());
    frame.extend(body);
    frame
}

fn named(rows: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    rows.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map()).unwrap();
    bytes
}

/// Every row is there, and as it was.
fn is_as_known(store: &EmbeddedStore) {
    let answers = answers(store, |_| true);
    let newest_first: Vec<_> = all_traces().rev().collect();
    assert_eq!((numbers(&answers.list), answers.list.total_matched), (newest_first, 15));
    for (trace, found) in all_traces().zip(&answers.traces) {
        let found = found.as_ref().unwrap();
        let [root, mut call] = spans_of(trace);
        let row = answers.list.traces.iter().find(|row| row.trace_id == id(trace)).unwrap();
        assert_eq!((row.start_ns, row.duration_ns, row.span_count), (root.start_ns, SECOND, 2));
        assert_eq!(row.model, call.model);
        call.error_message = call.error_type.as_ref().map(|_| "timed out after 30 s".to_owned());
        assert_eq!(found.spans, [root, call]);
        let texts: Vec<_> = found.contents.iter().map(|content| content.text.clone()).collect();
        assert_eq!(texts, texts_of(trace));
        assert_eq!((found.evaluations.len(), found.evaluations[0].score), (1, Some(1.0)));
    }
    let found: Vec<_> = answers.found.iter().map(Vec::len).collect();
    assert_eq!((found, &answers.found[2]), (vec![15, 6, 1, 15], &vec![7]));
    assert_eq!(answers.hosts, (0..=SEALED).map(host_of).collect::<Vec<_>>());
    assert_eq!(answers.processes, (0..=SEALED).flat_map(processes_of).collect::<Vec<_>>());
    let figures = answers.figures.unwrap();
    let total = figures.total.figures;
    assert_eq!((total.count, total.errors, figures.groups.len()), (30, 3, 3));
    let said: Vec<_> = answers.sql.into_iter().map(|(_, answer)| answer.unwrap()).collect();
    let expected = [
        json!([
            {"service": "gateway", "status": "ok", "n": 15, "t": 15_000_000_000_u64},
            {"service": "proxy", "status": "error", "n": 3, "t": 1_500_000_000, "o": 24},
            {"service": "proxy", "status": "ok", "n": 12, "t": 6_000_000_000_u64, "o": 81},
        ]),
        json!([{"part": "input", "n": 15, "c": 280}, {"part": "output", "n": 15, "c": 3_500}]),
        json!([{"evaluator": "user", "n": 15, "s": 15.0}]),
        json!([{"n": 3, "c": 4.5}]),
        json!([{"name": "runtime", "n": 6}]),
    ];
    assert_eq!(said, expected);
}

#[test]
fn folders_of_earlier_versions_are_read_row_by_row() {
    let listing = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap());
    let folders = listing.filter(|entry| entry.path().is_dir());
    let versions: Vec<_> = folders.map(|entry| entry.file_name()).collect();
    assert!(versions.len() >= 2, "{versions:?}");
    for version in versions {
        let version = version.to_str().unwrap();
        let folder = fixture(version);
        let store = open(folder.path());
        assert_eq!(store.state().replay.faults, [], "{version}");
        is_as_known(&store);
        // And it is one of ours from here on.
        store.seal().unwrap();
        store.compact();
        is_as_known(&store);
        drop(store);
        assert!(verify(folder.path()).unwrap().is_whole());
        is_as_known(&open(folder.path()));
    }
}

/// Writes a segment anew as a version would that lacks one column and has two of its own.
fn as_another_version(file: &Path, lacks: &str) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let said = builder.metadata().file_metadata().key_value_metadata().cloned();
    let batches: Vec<_> = builder.build().unwrap().map(|batch| batch.unwrap()).collect();
    let other = |batch: &RecordBatch| {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let mut columns: Vec<(Arc<Field>, ArrayRef)> = columns
            .filter(|(field, _)| field.name() != lacks)
            .map(|(field, column)| (Arc::clone(field), Arc::clone(column)))
            .collect();
        for (name, place) in [("weather", 0), ("mood", columns.len())] {
            let field = Arc::new(Field::new(name, DataType::Utf8, true));
            let values = StringArray::from(vec![Some("fine"); batch.num_rows()]);
            columns.insert(place, (field, Arc::new(values)));
        }
        let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    let batches: Vec<_> = batches.iter().map(other).collect();
    let properties = WriterProperties::builder().set_key_value_metadata(said).build();
    let to = File::create(file).unwrap();
    let mut writer = ArrowWriter::try_new(to, batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

fn check_columns(store: &EmbeddedStore, spans: u64) {
    // The one beyond 30 has no app and no tokens.
    let counts = "SELECT count(*) AS n, count(ml_app) AS apps, sum(output_tokens) AS o FROM spans";
    assert_eq!(ask(store, counts).unwrap(), json!([{"n": spans, "apps": 10, "o": 105}]));
    let null = "SELECT count(*) AS n FROM spans WHERE ml_app IS NULL AND service = 'proxy'";
    assert_eq!(ask(store, null).unwrap(), json!([{"n": 5 + spans - 30}]));
}

#[test]
fn a_missing_column_reads_null_and_an_unknown_one_is_passed_over() {
    let folder = fixture("0.2-dev1");
    as_another_version(&segment_files(folder.path(), "spans")[0], "ml_app");
    as_another_version(&segment_files(folder.path(), "traces")[0], "model_requested");
    as_another_version(&segment_files(folder.path(), "hosts")[0], "disk_write_bytes_per_s");
    // The list of segments is made anew: it knows the sums of the files as they were.
    fs::remove_file(folder.path().join("segments/manifest.json")).unwrap();
    let check = |store: &EmbeddedStore| {
        for trace in all_traces() {
            let [root, mut call] = spans_of(trace);
            if generation_of(trace) == 0 {
                call.ml_app = None;
            }
            call.error_message =
                call.error_type.as_ref().map(|_| "timed out after 30 s".to_owned());
            assert_eq!(store.trace(id(trace)).unwrap().unwrap().spans, [root, call]);
        }
        check_columns(store, 30);
        assert!(ask(store, "SELECT mood FROM spans").is_err());
        let (from_ns, to_ns) = (start_s(0) * SECOND, start_s(1) * SECOND);
        let written = store.host_samples(None, from_ns, to_ns).unwrap();
        let written: Vec<_> = written.iter().map(|host| host.disk_write_bytes_per_s).collect();
        assert_eq!(written, [None, Some(1.0)]);
    };
    let store = open(folder.path());
    check(&store);
    // A late span has the list's rows of the other version written anew.
    put(&store, spans(vec![llm_span(&spans_of(0)[0], "late")]));
    store.seal().unwrap();
    store.compact();
    let is_new = |file: &PathBuf| file.extension().is_some_and(|of| of == "new");
    assert!(!segment_files(folder.path(), "spans").iter().any(is_new));
    // One that was read meanwhile goes a moment later.
    let are_merged = || segment_files(folder.path(), "spans").len() == 1;
    eventually("those of both versions are merged", are_merged);
    check_columns(&store, 31);
    let list = page(&store, "").traces;
    assert_eq!((list.len(), list[14].trace_id, list[14].span_count), (15, id(0), 3));
    assert_eq!((list[13].model_requested.as_deref(), list[13].span_count), (None, 2));
    let count = ask(&store, "SELECT count(*) AS n FROM spans").unwrap();
    assert_eq!(count, json!([{"n": 31}]));
}

#[test]
fn a_frame_of_a_later_kind_is_passed_over_and_reported() {
    let folder = fixture("0.2-dev1");
    let last = log_files(folder.path()).pop().unwrap();
    let mut file = File::options().append(true).open(last).unwrap();
    // A kind of a later version, and a span with a field of one.
    let ids = [("trace_id", id(77).as_bytes().to_vec()), ("span_id", vec![7; 8])];
    let mut fields = vec![("start_ns", rmp_serde::to_vec(&(start_s(2) * SECOND)).unwrap())];
    fields.push(("mood", rmp_serde::to_vec("fine").unwrap()));
    let mut spans = vec![0x82];
    spans.extend(rmp_serde::to_vec("spans").unwrap());
    spans.extend([0x91, 0x80 | (ids.len() + fields.len()) as u8]);
    for (name, bytes) in ids {
        spans.extend(rmp_serde::to_vec(name).unwrap());
        spans.extend([0xc4, bytes.len() as u8]);
        spans.extend(bytes);
    }
    for (name, value) in fields {
        spans.extend(rmp_serde::to_vec(name).unwrap());
        spans.extend(value);
    }
    spans.extend(rmp_serde::to_vec("contents").unwrap());
    spans.push(0x90);
    file.write_all(&frame(9, b"of a later version")).unwrap();
    file.write_all(&frame(NAMED_SPANS, &spans)).unwrap();
    drop(file);
    let store = open(folder.path());
    let faults = store.state().replay.faults;
    assert_eq!(faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [FaultKind::Undecodable]);
    assert_eq!(numbers(&page(&store, "")).len(), 16);
    let extended = store.trace(id(77)).unwrap().unwrap().spans.remove(0);
    assert_eq!((extended.start_ns, extended.service.as_str()), (start_s(2) * SECOND, ""));
}

#[test]
fn a_list_of_segments_of_a_later_format_is_refused_and_nothing_is_touched() {
    let folder = fixture("0.2-dev1");
    let manifest = folder.path().join("segments/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let later = text.replacen("\"format\":1", "\"format\":2", 1);
    assert_ne!(later, text);
    fs::write(&manifest, &later).unwrap();
    let before = all_files(folder.path());
    let error = EmbeddedStore::open(folder.path(), Config::default()).err().unwrap();
    assert!(matches!(error, StoreError::NewerFormat { version: 2, known: 1, .. }));
    let said = error.to_string();
    assert!(
        said.ends_with("manifest.json has format version 2; this Andon knows up to 1"),
        "{said}"
    );
    assert_eq!(all_files(folder.path()), before);
}

/// Names and sizes.
fn all_files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(all_files(&path));
        } else if path.file_name().unwrap() != "lock" {
            let bytes = fs::metadata(&path).unwrap().len();
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

#[test]
fn sums_that_could_not_be_made_to_count_are_made_later() {
    // Of a version that had none.
    let folder = fixture("0.2-dev1");
    let in_the_way = folder.path().join("segments/manifest.json.new");
    fs::create_dir(&in_the_way).unwrap();
    let store = open(folder.path());
    store.compact();
    fs::remove_dir(&in_the_way).unwrap();
    let before = figures_of(&store).total.figures.count;
    let mut late = span(900, start_s(0) + 30);
    late.model = Some("late".to_owned());
    put(&store, spans(vec![late]));
    store.seal().unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(figures_of(&store).total.figures.count, before + 1);
    store.compact();
    assert_eq!(figures_of(&store).total.figures.count, before + 1);
}
