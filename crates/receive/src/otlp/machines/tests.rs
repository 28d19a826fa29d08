use serde_json::{Value as Json, json};

use super::*;

const BOX: &str = "gpu-box";
/// A time, in milliseconds, that points begin with.
const START_MS: u64 = 1_700_000_000_000;
const GIB: u64 = 1 << 30;

/// What a test sends, and what becomes of it.
struct Bench {
    machines: Machines,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { machines: Machines::default(), now: Instant::now() }
    }

    /// From a program of `BOX`.
    fn send(&mut self, metrics: &[Json]) -> Vec<HostSample> {
        self.send_as(json!({"host.name": BOX, "service.name": "app"}), metrics)
    }

    fn send_as(&mut self, resource: Json, metrics: &[Json]) -> Vec<HostSample> {
        let attributes = attributes(&resource);
        let request = json!({"resourceMetrics": [{"resource": {"attributes": attributes},
            "scopeMetrics": [{"metrics": metrics}]}]});
        self.machines.take(&serde_json::from_value(request).unwrap(), self.now)
    }
}

fn attributes(of: &Json) -> Vec<Json> {
    let texts = of.as_object().unwrap().iter();
    texts.map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

fn ns(ms: u64) -> String {
    format!("{}000000", START_MS + ms)
}

fn at(ms: u64) -> UnixNanos {
    (START_MS + ms) * 1_000_000
}

fn point(ms: u64, of: &Json, value: f64) -> Json {
    json!({"timeUnixNano": ns(ms), "attributes": attributes(of), "asDouble": value})
}

fn sum(name: &str, points: &[Json]) -> Json {
    json!({"name": name, "sum": {"aggregationTemporality": 2, "isMonotonic": true,
        "dataPoints": points}})
}

fn gauge(name: &str, points: &[Json]) -> Json {
    json!({"name": name, "gauge": {"dataPoints": points}})
}

/// One CPU has worked and idled so many seconds.
fn cpu(ms: u64, name: &str, user: f64, idle: f64) -> Json {
    let of = |state: &str| json!({"cpu": name, "state": state});
    sum("system.cpu.time", &[point(ms, &of("user"), user), point(ms, &of("idle"), idle)])
}

/// Of 8 GiB.
fn memory(ms: u64, used_gib: u64) -> Json {
    let of = |state: &str, gib: u64| point(ms, &json!({"state": state}), (gib * GIB) as f64);
    let parts = [of("used", used_gib), of("free", 5 - used_gib), of("cached", 3)];
    gauge("system.memory.usage", &parts)
}

fn disk(ms: u64, device: &str, read: f64) -> Json {
    let of = json!({"device": device, "direction": "read"});
    sum("system.disk.io", &[point(ms, &of, read)])
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

#[test]
fn two_looks_make_a_sample_of_what_was_between_them() {
    let mut bench = Bench::new();
    assert_eq!(bench.send(&[cpu(0, "0", 10.0, 90.0), memory(0, 1), disk(0, "sda", 5e6)]), []);
    let samples = bench.send(&[
        cpu(2_000, "0", 11.0, 91.0),
        memory(2_000, 2),
        disk(2_000, "sda", 7e6),
        disk(2_000, "sda1", 7e6),
    ]);
    let [sample] = &samples[..] else { panic!("{samples:?}") };
    assert_eq!((sample.time_ns, sample.host.as_deref()), (at(2_000), Some(BOX)));
    assert_eq!(sample.cpu_count, 1);
    assert!(close(sample.cpu_busy_cores, 0.5), "{sample:?}");
    assert_eq!((sample.memory_total_bytes, sample.memory_used_bytes), (8 * GIB, 2 * GIB));
    assert_eq!(sample.memory_cached_bytes, Some(3 * GIB));
    assert!(close(sample.disk_read_bytes_per_s.unwrap(), 1e6), "{sample:?}");
    // Nothing is said of these.
    assert_eq!(
        (sample.cpu_system_cores, sample.load_1m, sample.swap_in_bytes_per_s),
        (None, None, None)
    );
    assert_eq!((sample.cpu_pressure, sample.oom_kills), (None, None));
    let moved = [sample.network_send_bytes_per_s, sample.major_faults_per_s];
    assert_eq!((moved, sample.swap_used_bytes), ([None, None], None));
    assert_eq!((sample.cpu_steal_cores, sample.cpu_iowait_cores), (None, None));
}

#[test]
fn several_cpus_add_up_and_each_mode_has_its_place() {
    let mut bench = Bench::new();
    let look = |ms: u64, s: f64| {
        let of = |cpu: &str, state: &str, share: f64| {
            point(ms, &json!({"cpu.logical_number": cpu, "cpu.mode": state}), 100.0 + s * share)
        };
        let mut points = Vec::new();
        for cpu in ["0", "1"] {
            for (state, share) in [("user", 0.25), ("nice", 0.125), ("interrupt", 0.0625)] {
                points.push(of(cpu, state, share));
            }
            points.extend([of(cpu, "iowait", 0.2), of(cpu, "steal", 0.1), of(cpu, "idle", 0.2625)]);
        }
        [sum("system.cpu.time", &points), memory(ms, 1)]
    };
    bench.send(&look(0, 0.0));
    let sample = bench.send(&look(1_000, 1.0)).remove(0);
    assert_eq!(sample.cpu_count, 2);
    assert!(close(sample.cpu_busy_cores, 1.075), "{sample:?}");
    assert!(close(sample.cpu_user_cores.unwrap(), 0.75), "{sample:?}");
    assert!(close(sample.cpu_system_cores.unwrap(), 0.125), "{sample:?}");
    assert!(close(sample.cpu_iowait_cores.unwrap(), 0.4), "{sample:?}");
    assert!(close(sample.cpu_steal_cores.unwrap(), 0.2), "{sample:?}");
}

#[test]
fn shares_are_of_all_cores() {
    let mut bench = Bench::new();
    let look = |ms, attribute: Json, cpus: f64| {
        let share = |state: &str, share: f64| {
            let mut of = attribute.clone();
            of["state"] = state.into();
            point(ms, &of, share)
        };
        let count = sum("system.cpu.logical.count", &[point(ms, &json!({}), cpus)]);
        let shares = [share("user", 0.5), share("idle", 0.5)];
        [gauge("system.cpu.utilization", &shares), count, memory(ms, 1)]
    };
    bench.send(&look(0, json!({}), 8.0));
    let whole = bench.send(&look(1_000, json!({}), 8.0)).remove(0);
    assert_eq!(whole.cpu_count, 8);
    assert!(close(whole.cpu_busy_cores, 4.0), "{whole:?}");
    let mut bench = Bench::new();
    bench.send(&look(0, json!({"cpu": "cpu0"}), 8.0));
    let one = bench.send(&look(1_000, json!({"cpu": "cpu0"}), 8.0)).remove(0);
    assert!(close(one.cpu_busy_cores, 0.5), "{one:?}");
}

#[test]
fn deltas_are_rates_of_the_time_that_they_are_of() {
    let mut bench = Bench::new();
    let look = |from: u64, to: u64, user: f64| {
        let point = |state: &str, value: f64| {
            let mut point = point(to, &json!({"cpu": "0", "state": state}), value);
            point["startTimeUnixNano"] = ns(from).into();
            point
        };
        let points = [point("user", user), point("idle", 0.0)];
        let cpu = json!({"name": "system.cpu.time",
            "sum": {"aggregationTemporality": 1, "dataPoints": points}});
        [cpu, memory(to, 1)]
    };
    bench.send(&look(0, 1_000, 0.1));
    let busy = |samples: Vec<HostSample>| samples[0].cpu_busy_cores;
    assert!(close(busy(bench.send(&look(1_000, 2_000, 0.3))), 0.3));
    // One was lost on its way.
    assert!(close(busy(bench.send(&look(3_000, 4_000, 0.5))), 0.5));
    // It came twice, and so did one of another program's that counts the same.
    assert_eq!(bench.send(&look(3_000, 4_000, 0.5)), []);
    assert_eq!(bench.send(&look(3_400, 4_400, 0.5)), []);
    assert!(close(busy(bench.send(&look(4_000, 5_000, 0.7))), 0.7));
}

#[test]
fn what_makes_no_sense_is_passed_over() {
    let mut bench = Bench::new();
    bench.send(&[cpu(0, "0", 1.0, 1.0), memory(0, 1)]);
    let user = json!({"cpu": "0", "state": "user"});
    let delta = |start: &str, value: f64| {
        let mut point = point(500, &user, value);
        point["startTimeUnixNano"] = start.into();
        json!({"name": "system.cpu.time",
            "sum": {"aggregationTemporality": 1, "dataPoints": [point]}})
    };
    let most = u64::MAX.to_string();
    let long = json!({"cpu": "x".repeat(99), "state": "user"});
    for metric in [
        sum("system.cpu.time", &[point(500, &user, -1.0), point(500, &user, 1e300)]),
        sum("system.cpu.time", &[point(500, &json!({"state": "dreaming"}), 1.0)]),
        sum("system.cpu.time", &[point(500, &long, 1.0), json!({"asInt": "7"})]),
        gauge("system.cpu.time", &[point(500, &user, 7.0)]),
        json!({"name": "system.cpu.time"}),
    ] {
        assert_eq!(bench.send(&[metric]), []);
    }
    let sample = bench.send(&[cpu(1_000, "0", 1.5, 1.5), memory(1_000, 1)]);
    assert!(close(sample[0].cpu_busy_cores, 0.5), "{sample:?}");
    // A delta that begins after its end adds up all the same.
    bench.send(&[delta(&most, 1.0)]);
    bench.send(&[cpu(2_000, "0", 3.0, 2.0), memory(2_000, 1)]);
}

#[test]
fn what_counts_from_the_beginning_again_is_no_rate() {
    let mut bench = Bench::new();
    bench.send(&[cpu(0, "0", 100.0, 100.0), memory(0, 1), disk(0, "sda", 9e9)]);
    // What a disk did that was changed is not known; the rest is.
    let sample =
        bench.send(&[cpu(1_000, "0", 100.5, 100.5), memory(1_000, 1), disk(1_000, "sda", 5.0)]);
    assert_eq!(sample[0].disk_read_bytes_per_s, None);
    // After the machine's restart what its CPUs did is not known until the next look.
    assert_eq!(bench.send(&[cpu(9_000, "0", 1.0, 1.0), memory(9_000, 1)]), []);
    let sample = bench.send(&[cpu(10_000, "0", 1.25, 1.75), memory(10_000, 1)]);
    assert!(close(sample[0].cpu_busy_cores, 0.25), "{sample:?}");
    // More than before, and of a later beginning all the same.
    let mut later = cpu(11_000, "0", 5.0, 5.0);
    for point in later["sum"]["dataPoints"].as_array_mut().unwrap() {
        point["startTimeUnixNano"] = ns(10_500).into();
    }
    assert_eq!(bench.send(&[later, memory(11_000, 1)]), []);
}

#[test]
fn what_comes_twice_or_too_late_makes_no_second_sample() {
    let mut bench = Bench::new();
    let look = |s: u64| [cpu(s * 1_000, "0", s as f64 / 2.0, s as f64 / 2.0), memory(s * 1_000, 1)];
    bench.send(&look(0));
    assert_eq!(bench.send(&look(2)).len(), 1);
    assert_eq!(bench.send(&look(2)), []);
    assert_eq!(bench.send(&look(1)), []);
    let samples = bench.send(&look(3));
    assert_eq!(samples[0].time_ns, at(3_000));
    assert!(close(samples[0].cpu_busy_cores, 0.5), "{samples:?}");
}

#[test]
fn there_is_one_sample_a_second_and_no_time_is_lost_between_them() {
    let mut bench = Bench::new();
    let mut samples = Vec::new();
    for at in 0..=20u64 {
        let (ms, spent) = (at * 250, at as f64 / 8.0);
        samples.extend(bench.send(&[cpu(ms, "0", spent, spent), memory(ms, 1)]));
    }
    let times: Vec<_> = samples.iter().map(|sample| sample.time_ns).collect();
    assert_eq!(times, [1, 2, 3, 4, 5].map(|s| at(s * 1_000)));
    assert!(samples.iter().all(|sample| close(sample.cpu_busy_cores, 0.5)), "{samples:?}");
}

#[test]
fn a_look_in_several_requests_is_one() {
    let mut bench = Bench::new();
    for s in 0..4u64 {
        let (ms, spent) = (s * 1_000, s as f64);
        // Each part of the machine was asked a little later than the one before.
        assert_eq!(bench.send(&[cpu(ms, "0", spent / 2.0, spent / 2.0)]), []);
        assert_eq!(bench.send(&[memory(ms + 3, 1)]), []);
        let samples = bench.send(&[cpu(ms + 4, "1", spent, 0.0)]);
        // What comes after that is in the next look.
        assert_eq!(bench.send(&[disk(ms + 5, "sda", spent * 1e6)]), []);
        let seen: Vec<_> = samples.iter().map(|it| (it.time_ns, it.cpu_count)).collect();
        assert_eq!(seen, if s > 0 { vec![(at(ms + 4), 2)] } else { vec![] });
        for sample in samples {
            assert!(close(sample.cpu_busy_cores, 1.5), "{sample:?}");
            // Of the disk two looks are needed.
            let read = sample.disk_read_bytes_per_s;
            assert_eq!(read.map(|read| close(read, 1e6)), (s > 1).then_some(true), "{read:?}");
        }
    }
}

#[test]
fn many_looks_in_one_request_are_each_one() {
    let mut bench = Bench::new();
    let mut metrics = Vec::new();
    for s in (0..5u64).rev() {
        let spent = (s * s) as f64 / 32.0;
        metrics.extend([
            cpu(s * 1_000, "0", spent, 0.0),
            memory(s * 1_000, s),
            disk(s * 1_000, "sda", 1e6 * spent),
        ]);
    }
    let samples = bench.send(&metrics);
    let seen: Vec<_> = samples.iter().map(|it| (it.time_ns, it.memory_used_bytes / GIB)).collect();
    assert_eq!(seen, [1, 2, 3, 4].map(|s| (at(s * 1_000), s)));
    assert!(close(samples[3].cpu_busy_cores, 7.0 / 32.0), "{samples:?}");
    assert!(close(samples[3].disk_read_bytes_per_s.unwrap(), 1e6 * 7.0 / 32.0), "{samples:?}");
}

#[test]
fn without_cpu_or_memory_there_is_no_sample() {
    let mut bench = Bench::new();
    for s in 0..5 {
        assert_eq!(bench.send(&[cpu(s * 1_000, "0", s as f64, 0.0)]), []);
    }
    let mut bench = Bench::new();
    for s in 0..5 {
        assert_eq!(bench.send(&[memory(s * 1_000, 1), disk(s * 1_000, "sda", 1.0)]), []);
    }
    // How much there is in all is not to be known from what is used alone.
    let mut bench = Bench::new();
    for s in 0..5 {
        let used =
            gauge("system.memory.usage", &[point(s * 1_000, &json!({"state": "used"}), 1e9)]);
        assert_eq!(bench.send(&[cpu(s * 1_000, "0", s as f64, 0.0), used]), []);
    }
}

#[test]
fn a_cpu_that_was_taken_out_is_not_waited_for() {
    let mut bench = Bench::new();
    let both = |s: u64| {
        [
            cpu(s * 1_000, "0", s as f64, 0.0),
            cpu(s * 1_000, "1", s as f64, 0.0),
            memory(s * 1_000, 1),
        ]
    };
    bench.send(&both(0));
    assert_eq!(bench.send(&both(1))[0].cpu_count, 2);
    let rest: Vec<_> = (2..8u64)
        .flat_map(|s| bench.send(&[cpu(s * 1_000, "0", s as f64, 0.0), memory(s * 1_000, 1)]))
        .collect();
    assert!(rest.len() >= 2, "{rest:?}");
    assert!(rest.iter().all(|sample| sample.cpu_count == 1), "{rest:?}");
}

#[test]
fn the_whole_memory_is_known_in_several_ways() {
    let of = |state: &str, value: f64| point(0, &json!({"state": state}), value);
    let known = |metrics: &[Json]| {
        let mut bench = Bench::new();
        let mut look = |s: u64| {
            let mut all = vec![cpu(s * 1_000, "0", s as f64, 0.0)];
            all.extend(metrics.iter().map(|metric| {
                let mut metric = metric.clone();
                for point in metric["gauge"]["dataPoints"].as_array_mut().unwrap() {
                    point["timeUnixNano"] = ns(s * 1_000).into();
                }
                metric
            }));
            bench.send(&all)
        };
        look(0);
        look(1).pop().map(|sample| (sample.memory_total_bytes, sample.memory_used_bytes))
    };
    let usage = |points: &[Json]| gauge("system.memory.usage", points);
    let limit = gauge("system.memory.limit", &[point(0, &json!({}), 1_000.0)]);
    let available = gauge("system.memory.linux.available", &[point(0, &json!({}), 700.0)]);
    assert_eq!(known(&[usage(&[of("used", 400.0)]), limit.clone()]), Some((1_000, 400)));
    assert_eq!(known(&[available, limit]), Some((1_000, 300)));
    let shares = gauge("system.memory.utilization", &[of("used", 0.25), of("free", 0.7)]);
    assert_eq!(
        known(&[usage(&[of("used", 250.0), of("free", 700.0)]), shares]),
        Some((1_000, 250))
    );
    assert_eq!(known(&[usage(&[of("used", 300.0), of("available", 700.0)])]), Some((1_000, 300)));
    let parts = usage(&[
        of("used", 300.0),
        of("free", 500.0),
        of("buffered", 200.0),
        of("slab_reclaimable", 50.0),
    ]);
    assert_eq!(known(&[parts]), Some((1_000, 300)));
}

#[test]
fn the_collector_counts_pages_and_faults_in_bytes() {
    let paging = |ms: u64, count: f64| {
        let swap = json!({"type": "major", "direction": "page_in"});
        let files = json!({"type": "minor", "direction": "page_in"});
        let moved = [point(ms, &swap, count), point(ms, &files, 9.0 * count)];
        let faults = [point(ms, &json!({"type": "major"}), count)];
        [sum("system.paging.operations", &moved), sum("system.paging.faults", &faults)]
    };
    let scopes =
        ["example.org/host", "…/receiver/hostmetricsreceiver/internal/scraper/pagingscraper"];
    let [plain, collector] = scopes.map(|scope| {
        let mut bench = Bench::new();
        let mut send = |s: u64| {
            let mut metrics = vec![cpu(s * 1_000, "0", s as f64, 0.0), memory(s * 1_000, 1)];
            metrics.extend(paging(s * 1_000, 8_192.0 * s as f64));
            let resource = attributes(&json!({"host.name": BOX}));
            let request = json!({"resourceMetrics": [{"resource": {"attributes": resource},
                "scopeMetrics": [{"scope": {"name": scope}, "metrics": metrics}]}]});
            bench.machines.take(&serde_json::from_value(request).unwrap(), bench.now)
        };
        send(0);
        send(1).remove(0)
    });
    assert_eq!(
        (plain.swap_in_bytes_per_s, plain.major_faults_per_s),
        (Some(8_192.0 * 4_096.0), Some(8_192.0))
    );
    assert_eq!(
        (collector.swap_in_bytes_per_s, collector.major_faults_per_s),
        (Some(8_192.0), Some(2.0))
    );
    assert_eq!(collector.swap_out_bytes_per_s, None);
}

#[test]
fn two_programs_on_a_machine_do_not_count_it_twice() {
    let mut bench = Bench::new();
    let look = |ms: u64| [cpu(ms, "0", ms as f64 / 2e3, ms as f64 / 2e3), memory(ms, 1)];
    let mut send = |service: &str, ms| {
        bench.send_as(json!({"host.name": BOX, "service.name": service}), &look(ms)).len()
    };
    let (mut first, mut second) = (0, 0);
    for s in 0..10 {
        first += send("first", s * 1_000);
        second += send("second", s * 1_000 + 400);
    }
    assert_eq!((first, second), (9, 0));
    // The first one has ended.
    let counts: Vec<_> = (10..20).map(|s| send("second", s * 1_000 + 400)).collect();
    assert_eq!(counts.iter().sum::<usize>(), 8, "{counts:?}");
}

#[test]
fn a_machine_without_a_name_or_that_is_sampled_already_is_left_out() {
    let mut bench = Bench::new();
    bench.machines.leave_out(vec!["Desk".to_owned(), "6b7f".to_owned()]);
    let mut count = |resource: Json| {
        let look = |s: u64| [cpu(s * 1_000, "0", s as f64, 0.0), memory(s * 1_000, 1)];
        bench.send_as(resource.clone(), &look(0));
        bench.send_as(resource, &look(1)).len()
    };
    assert_eq!(count(json!({"service.name": "app"})), 0);
    assert_eq!(count(json!({"host.name": "desk.lan"})), 0);
    assert_eq!(count(json!({"host.id": "6b7f"})), 0);
    assert_eq!(count(json!({"host.name": "two words"})), 0);
    assert_eq!(count(json!({"host.name": "desk2"})), 1);
    assert_eq!(count(json!({"host.id": "9c01"})), 1);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut bench = Bench::new();
    for host in 0..MOST_SENDERS + 9 {
        bench.now += Duration::from_secs(1);
        bench.send_as(json!({"host.name": format!("host-{host}")}), &[memory(0, 1)]);
    }
    assert_eq!(bench.machines.senders.len(), MOST_SENDERS);
    let has = |name: &str| bench.machines.senders.keys().any(|sender| sender.host == name);
    assert!(!has("host-8") && has("host-9"));
    // Of more CPUs than there is room for it is not said what they did.
    let all: Vec<_> = (0..5_000).map(|at| cpu(0, &at.to_string(), 1.0, 1.0)).collect();
    bench.send(&all);
    let later: Vec<_> = (0..5_000).map(|at| cpu(1_000, &at.to_string(), 2.0, 1.0)).collect();
    assert_eq!(bench.send(&[&later[..], &[memory(1_000, 1)]].concat()), []);
    // After a long silence all begins anew.
    bench.now += LONGEST_SILENCE * 2;
    bench.send(&[memory(0, 1)]);
    assert_eq!(bench.machines.senders.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_is_followed_after_a_while() {
    let mut bench = Bench::new();
    let look = |ms: u64, s: f64| [cpu(ms, "0", s, 0.0), memory(ms, 1)];
    bench.send(&look(7_200_000, 0.0));
    assert_eq!(bench.send(&look(7_201_000, 1.0)).len(), 1);
    let mut samples = 0;
    for s in 0..=700u64 {
        bench.now += Duration::from_secs(1);
        samples += bench.send(&look(s * 1_000, 1.0 + s as f64)).len();
    }
    assert!((90..=110).contains(&samples), "{samples}");
}
