use std::time::Duration;

use andon_model::{
    DeviceKind, DeviceSample, HostSample, ModelEvent, ModelEventKind, ProcessSample, UnloadReason,
};
use andon_store::{
    Config, DevicePoint, EmbeddedStore, ExportFormat, MachineQuery, Record, Retention, Selection,
    Store, StoreError, Table, export,
};

use crate::support::*;

fn times(store: &EmbeddedStore, from_s: u64, to_s: u64) -> Vec<u64> {
    let samples = store.host_samples(None, from_s * SECOND, to_s * SECOND).unwrap();
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
    let processes =
        store.process_samples(None, (now_s - 30) * SECOND, (now_s - 30) * SECOND).unwrap();
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
    let read = |store: &EmbeddedStore| store.host_samples(None, 5 * SECOND, 5 * SECOND).unwrap();
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
        store.host_samples(None, 0, 25 * 3_600 * SECOND),
        Err(StoreError::RangeTooLong { limit_hours: 24 })
    );
    assert_eq!(store.host_samples(None, 10, 5), Ok(Vec::new()));
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
    assert_eq!(store.process_samples(None, 0, 0).unwrap(), []);
    assert_eq!(store.process_samples(None, 599 * SECOND, 599 * SECOND).unwrap().len(), 20);
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
        major_faults_per_s: None,
        gpu_memory_bytes: None,
        cpu_throttled: None,
        host: None,
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
        major_faults_per_s: (second > 1_005).then_some((second - 1_000) as f64),
        gpu_memory_bytes: (second < 1_020).then_some(second << 20),
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
    let of = |pid| machine.processes.iter().find(|process| process.pid == pid).unwrap();
    let peaks =
        |pid| (of(pid).major_faults_per_s_peak, of(pid).gpu_memory_bytes_peak.map(|it| it >> 20));
    assert_eq!((peaks(7), peaks(1)), ((Some(29.0), Some(1_019)), (None, None)));
    assert!(!machine.is_partial && machine.devices.is_empty());

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

/// A GPU, a CPU and a sensor at this second; the sensor at every fifth.
fn devices(second: u64) -> Vec<DeviceSample> {
    let time_ns = second * SECOND;
    let gpu = DeviceSample {
        time_ns,
        kind: DeviceKind::Gpu,
        id: "GPU-1".to_owned(),
        name: Some("a card".to_owned()),
        utilization: Some(if second.is_multiple_of(10) { 1.0 } else { 0.5 }),
        memory_used_bytes: Some(second),
        memory_total_bytes: Some(1 << 34),
        frequency_hz: Some(2.5e9),
        temperature_c: Some(60.0),
        power_w: Some(300.0),
        power_limit_w: Some(350.0),
        memory_bandwidth_bytes_per_s: Some(1e12),
        throttled: Some(second.is_multiple_of(5)),
        host: None,
    };
    let cpu = |number: u64| DeviceSample {
        time_ns,
        id: format!("cpu{number}"),
        utilization: Some(0.25),
        ..DeviceSample::default()
    };
    let sensor = DeviceSample {
        time_ns,
        kind: DeviceKind::Temperature,
        id: "nvme-nvme0/temp1".to_owned(),
        temperature_c: Some(if second.is_multiple_of(10) { 50.0 } else { 40.0 }),
        ..DeviceSample::default()
    };
    let sensor = second.is_multiple_of(5).then_some(sensor);
    [gpu, cpu(10), cpu(2)].into_iter().chain(sensor).collect()
}

#[test]
fn parts_of_the_machine_are_kept_as_they_were_seen() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    let all: Vec<_> = (1_000..1_020).flat_map(devices).collect();
    for second in 1_000..1_010 {
        put(&store, Record::Devices(devices(second)));
    }
    store.seal().unwrap();
    for second in 1_010..1_020 {
        put(&store, Record::Devices(devices(second)));
    }
    let read = |store: &EmbeddedStore| store.device_samples(None, 0, 2_000 * SECOND).unwrap();
    assert_eq!(read(&store), all);
    drop(store);
    let store = open(folder.path());
    assert_eq!(read(&store), all);
    store.seal().unwrap();
    store.compact();
    assert_eq!(read(&store), all);
    let question = "SELECT kind, id, count(*) AS n, max(power_w) AS w FROM devices \
                    WHERE throttled GROUP BY kind, id";
    assert_eq!(
        crate::known::ask(&store, question).unwrap(),
        serde_json::json!([{"kind": "gpu", "id": "GPU-1", "n": 4, "w": 300.0}])
    );
    let selection = Selection { table: Table::Devices, from_ns: 0, to_ns: 1_001 * SECOND };
    let mut lines = Vec::new();
    assert_eq!(export(folder.path(), selection, ExportFormat::JsonLines, &mut lines).unwrap(), 4);
    let text = String::from_utf8(lines).unwrap();
    let written: Vec<DeviceSample> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(written, devices(1_000));
}

#[test]
fn what_came_into_memory_and_left_it_is_kept_to_the_event() {
    let event = |second: u64, kind, reason| ModelEvent {
        time_ns: second * SECOND,
        after_ns: second.checked_sub(5).map(|before| before * SECOND),
        runtime: "ollama".to_owned(),
        model: "gemma3:270m".to_owned(),
        kind,
        reason,
        memory_bytes: Some(1 << 30),
        // For ever, as Ollama writes it; no column holds it.
        expires_ns: Some(11_000_000_000_000_000_000),
        ..ModelEvent::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    put(&store, Record::ModelEvents(vec![event(100, ModelEventKind::Loaded, None)]));
    store.seal().unwrap();
    let gone = event(400, ModelEventKind::Unloaded, Some(UnloadReason::Evicted));
    put(&store, Record::ModelEvents(vec![gone.clone()]));
    let read = |store: &EmbeddedStore| store.model_events(0, 400 * SECOND).unwrap();
    let all = read(&store);
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].expires_ns, Some(i64::MAX.unsigned_abs()));
    assert_eq!(ModelEvent { expires_ns: gone.expires_ns, ..all[1].clone() }, gone);
    drop(store);
    let store = open(folder.path());
    store.seal().unwrap();
    store.compact();
    assert_eq!(read(&store), all);
    assert_eq!(store.model_events(101 * SECOND, 399 * SECOND).unwrap(), []);
    let question = "SELECT model, reason FROM model_events WHERE kind = 'unloaded'";
    assert_eq!(
        crate::known::ask(&store, question).unwrap(),
        serde_json::json!([{"model": "gemma3:270m", "reason": "evicted"}])
    );
}

#[test]
fn parts_in_steps_have_means_and_peaks_and_what_is_unknown_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    for second in 1_000..1_020 {
        put(&store, Record::Devices(devices(second)));
        if second == 1_012 {
            store.seal().unwrap();
        }
    }
    let query = MachineQuery {
        from_ns: 1_000 * SECOND,
        to_ns: 1_020 * SECOND,
        points: 2,
        ..MachineQuery::default()
    };
    let machine = store.machine(&query).unwrap();
    let ids: Vec<_> = machine.devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["cpu2", "cpu10", "GPU-1", "nvme-nvme0/temp1"]);
    let [cpu, _, gpu, sensor] = machine.devices.as_slice() else { unreachable!() };
    assert_eq!((gpu.kind, gpu.name.as_deref()), (DeviceKind::Gpu, Some("a card")));
    assert_eq!(gpu.memory_bandwidth_bytes_per_s, Some(1e12));
    let second_step = DevicePoint {
        time_ns: 1_010 * SECOND,
        utilization: Some(0.55),
        utilization_peak: Some(1.0),
        // 1,014.5, rounded.
        memory_used_bytes: Some(1_015),
        memory_total_bytes: Some(1 << 34),
        frequency_hz: Some(2.5e9),
        temperature_c: Some(60.0),
        temperature_peak_c: Some(60.0),
        power_w: Some(300.0),
        power_limit_w: Some(350.0),
        throttled: Some(0.2),
    };
    assert_eq!((gpu.points.len(), &gpu.points[1]), (2, &second_step));
    let [point, ..] = cpu.points.as_slice() else { unreachable!() };
    assert_eq!(
        (point.utilization, point.memory_used_bytes, point.throttled),
        (Some(0.25), None, None)
    );
    let temperatures: Vec<_> =
        sensor.points.iter().map(|it| (it.temperature_c, it.temperature_peak_c)).collect();
    assert_eq!(temperatures, [(Some(45.0), Some(50.0)); 2]);
    assert!(!machine.is_partial);
    // Steps of a second: a sensor has points only where it was looked at.
    let fine = store.machine(&MachineQuery { points: 20, ..query }).unwrap();
    let points: Vec<_> = fine.devices.iter().map(|device| device.points.len()).collect();
    assert_eq!(points, [20, 20, 20, 4]);
}

#[test]
fn of_too_many_parts_of_a_kind_some_are_left_out_and_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let part = |kind, number| DeviceSample {
        time_ns: SECOND,
        kind,
        id: format!("part{number}"),
        ..DeviceSample::default()
    };
    let cpus = (0..300).map(|number| part(DeviceKind::Cpu, number));
    put(&store, Record::Devices(cpus.chain([part(DeviceKind::Gpu, 7)]).collect()));
    let query = MachineQuery { to_ns: 9 * SECOND, ..MachineQuery::default() };
    let machine = store.machine(&query).unwrap();
    assert!(machine.is_partial);
    assert_eq!(machine.devices.len(), 257);
    assert_eq!(machine.devices[256].kind, DeviceKind::Gpu);
}

#[test]
fn each_machine_has_samples_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(folder.path(), small_files()).unwrap();
    let other = |second: u64| {
        let mut sample = HostSample { time_ns: second * SECOND + 7, ..HostSample::default() };
        (sample.host, sample.cpu_busy_cores) = (Some("gpu-box".to_owned()), 5.0);
        Record::Host(vec![sample])
    };
    for second in 100..200 {
        put(&store, host(second));
        put(&store, other(second));
        let mut one = match processes(second, 1) {
            Record::Processes(rows) => rows,
            _ => unreachable!(),
        };
        one[0].host = Some("gpu-box".to_owned());
        put(&store, Record::Processes(one));
        if second == 150 {
            store.seal().unwrap();
        }
    }
    let seconds = |name: Option<&str>| {
        let found = store.host_samples(name, 145 * SECOND, 156 * SECOND).unwrap();
        assert!(found.iter().all(|sample| sample.host.as_deref() == name));
        found.len()
    };
    // Both ends are in it, and the other one's last look is a moment after it.
    assert_eq!((seconds(None), seconds(Some("gpu-box")), seconds(Some("nobody"))), (12, 11, 0));
    let ask = |name: Option<&str>| {
        let host = name.map(str::to_owned);
        let (from_ns, to_ns) = (100 * SECOND, 200 * SECOND);
        let query =
            MachineQuery { host, from_ns, to_ns, points: 10, top: 5, ..MachineQuery::default() };
        store.machine(&query).unwrap()
    };
    let (here, there, nobody) = (ask(None), ask(Some("gpu-box")), ask(Some("nobody")));
    assert!(there.mean.iter().all(|sample| sample.cpu_busy_cores == 5.0) && !there.mean.is_empty());
    assert!(here.mean.iter().all(|sample| sample.cpu_busy_cores != 5.0) && !here.mean.is_empty());
    assert_eq!((here.processes.len(), there.processes.len()), (0, 1));
    assert!(nobody.mean.is_empty() && nobody.processes.is_empty());
}
