use std::time::Duration;

use andon_model::HostSample;
use andon_store::{Config, EmbeddedStore, Record, Retention, Store, StoreError};

use crate::support::*;

fn times(store: &EmbeddedStore, from_s: u64, to_s: u64) -> Vec<u64> {
    let samples = store.host_samples(from_s * SECOND, to_s * SECOND).unwrap();
    samples.iter().map(|sample| sample.time_ns / SECOND).collect()
}

#[test]
fn samples_of_a_range_are_found_before_and_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let now_s = andon_model::Span::now_ns() / SECOND;
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    for second in now_s - 400..now_s {
        drop(store.append(host(second)).unwrap());
        drop(store.append(processes(second, 3)).unwrap());
    }
    store.flush().unwrap();
    let wanted: Vec<u64> = (now_s - 50..=now_s - 40).collect();
    assert_eq!(times(&store, now_s - 50, now_s - 40), wanted);
    store.seal().unwrap();
    assert_eq!(times(&store, now_s - 50, now_s - 40), wanted);
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.state().replay.frames, 0);
    assert_eq!(times(&store, now_s - 50, now_s - 40), wanted);
    let processes = store.process_samples((now_s - 30) * SECOND, (now_s - 30) * SECOND).unwrap();
    assert_eq!(processes.iter().map(|sample| sample.pid).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(times(&store, 0, 5).is_empty());
}

#[test]
fn what_a_kernel_tells_of_pressure_is_kept_and_what_it_does_not_stays_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    let told = HostSample {
        time_ns: 5 * SECOND,
        load_1m: Some(1.5),
        memory_pressure: Some(0.25),
        swap_in_bytes_per_s: Some(4096.0),
        oom_kills: Some(1),
        ..HostSample::default()
    };
    put(&store, Record::Host(vec![told.clone()]));
    let read = |store: &EmbeddedStore| store.host_samples(5 * SECOND, 5 * SECOND).unwrap();
    assert_eq!(read(&store), std::slice::from_ref(&told));
    store.seal().unwrap();
    drop(store);
    assert_eq!(read(&open(folder.path())), [told]);
}

#[test]
fn a_long_range_is_thinned_and_a_longer_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { sample_points: 100, ..Config::default() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    for second in 1_000..2_000 {
        drop(store.append(host(second)).unwrap());
    }
    store.flush().unwrap();
    assert_eq!(times(&store, 1_000, 1_040).len(), 41);
    let thinned = times(&store, 1_000, 2_000).len();
    assert!((90..=101).contains(&thinned), "{thinned}");
    assert_eq!(
        store.host_samples(0, 25 * 3_600 * SECOND),
        Err(StoreError::RangeTooLong { limit_hours: 24 })
    );
    assert_eq!(store.host_samples(10, 5), Ok(Vec::new()));
}

#[test]
fn a_flood_of_samples_pushes_no_trace_off_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let keep_samples = Retention { bytes: 30_000, age: Duration::from_secs(3_600) };
    let config = Config { keep_samples, hot_bytes: 100_000, ..small_files() };
    let store = EmbeddedStore::open(folder.path(), config).unwrap();
    put(&store, spans(vec![span(1, 1)]));
    for second in 0..600 {
        put(&store, processes(second, 20));
    }
    store.seal().unwrap();
    assert!(store.trace(id(1)).unwrap().is_some());
    assert_eq!(store.process_samples(0, 0).unwrap(), []);
    assert_eq!(store.process_samples(599 * SECOND, 599 * SECOND).unwrap().len(), 20);
}

#[test]
fn the_samples_log_of_earlier_versions_is_taken_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    for second in 100..400 {
        put(&store, host(second));
    }
    drop(store);
    // What is a log today was two of the same form.
    std::fs::rename(folder.path().join("log"), folder.path().join("samples")).unwrap();
    for _ in 0..2 {
        let store = open(folder.path());
        assert_eq!(times(&store, 0, 1_000), (100..400).collect::<Vec<_>>());
        assert!(!folder.path().join("samples").exists());
        put(&store, spans(vec![span(1, 1)]));
        assert!(store.trace(id(1)).unwrap().is_some());
    }
}
