use std::time::Duration;

use andon_model::{HostSample, ProcessSample};
use andon_store::{Config, EmbeddedStore, MachineQuery, Record, Retention, Store, StoreError};

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

fn process(time_s: u64, pid: u32) -> ProcessSample {
    ProcessSample {
        time_ns: time_s * SECOND,
        pid,
        started_ns: 7,
        name: "a program".to_owned(),
        command: "a program --of some".to_owned(),
        role: None,
        cpu_cores: 0.25,
        rss_bytes: 1 << 20,
        threads: 3,
        read_bytes_per_s: None,
        write_bytes_per_s: None,
    }
}

#[test]
fn the_machine_in_steps_has_means_and_peaks_wherever_its_samples_lie() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    let sample = |second: u64| HostSample {
        time_ns: second * SECOND,
        cpu_count: 4,
        cpu_busy_cores: if second % 10 == 3 { 3.0 } else { 1.0 },
        memory_used_bytes: second,
        // Of the first step only: what is not measured stays unknown, and is no 0.
        cpu_pressure: (second < 1_010).then_some(0.5),
        oom_kills: Some(u64::from(second == 1_025)),
        ..HostSample::default()
    };
    let busy = |second: u64| ProcessSample {
        cpu_cores: if second < 1_015 { 2.0 } else { 0.0 },
        role: Some("runtime".to_owned()),
        ..process(second, 7)
    };
    for second in 1_000..1_030 {
        put(&store, Record::Host(vec![sample(second)]));
        put(&store, Record::Processes(vec![process(second, 1), busy(second)]));
        if second == 1_012 {
            store.seal().unwrap();
        }
    }
    let query = MachineQuery {
        from_ns: 1_000 * SECOND,
        to_ns: 1_030 * SECOND,
        points: 3,
        top: 10,
        ..MachineQuery::default()
    };
    let machine = store.machine(&query).unwrap();
    assert_eq!(machine.step_ns, 10 * SECOND);
    let begins: Vec<_> = machine.mean.iter().map(|sample| sample.time_ns / SECOND).collect();
    assert_eq!(begins, [1_000, 1_010, 1_020]);
    for (mean, peak) in machine.mean.iter().zip(&machine.peak) {
        assert_eq!((mean.cpu_busy_cores, peak.cpu_busy_cores), (1.2, 3.0));
        assert_eq!((mean.cpu_count, mean.time_ns), (4, peak.time_ns));
    }
    assert_eq!(machine.peak[2].memory_used_bytes, 1_029);
    let pressures: Vec<_> = machine.mean.iter().map(|sample| sample.cpu_pressure).collect();
    assert_eq!(pressures, [Some(0.5), None, None]);
    let killed: Vec<_> = machine.mean.iter().map(|sample| sample.oom_kills).collect();
    assert_eq!(killed, [Some(0), Some(0), Some(1)]);
    assert_eq!(machine.processes[0].pid, 7);
    assert_eq!((machine.processes[0].cpu_cores, machine.processes[0].cpu_cores_peak), (1.0, 2.0));
    assert!(!machine.is_partial);

    // One process is wanted: the busiest, and the largest if that is another.
    let query = MachineQuery { top: 1, points: 10, from_ns: 1_020 * SECOND, ..query };
    let later = store.machine(&query).unwrap();
    assert_eq!(later.mean.len(), 10, "steps of a second");
    assert!(later.processes.iter().any(|process| process.pid == 7), "the runtime always");
    let interrupt = andon_store::Interrupt::default();
    drop(interrupt.when_dropped());
    let query = MachineQuery { interrupt, ..query };
    assert_eq!(store.machine(&query), Err(StoreError::Interrupted));
}
