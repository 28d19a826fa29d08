//! The machine's parts over a `/proc` and a `/sys` of files that the test writes.

#![cfg(unix)]

use std::fs::{create_dir_all, remove_dir_all, write};
use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;

struct FakeMachine {
    folder: tempfile::TempDir,
    start: Instant,
    reader: FileReader,
}

impl FakeMachine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, start: Instant::now(), reader: FileReader::new() }
    }

    fn file(&self, path: &str, content: &str) {
        let path = self.folder.path().join(path);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, content).unwrap();
    }

    /// `from`, a path below `/sys`, leads to a device of its own.
    fn device(&self, from: &str, to: &str) {
        let (from, to) = (self.folder.path().join("sys").join(from), self.folder.path().join(to));
        create_dir_all(from.parent().unwrap()).unwrap();
        create_dir_all(&to).unwrap();
        symlink(to, from).unwrap();
    }

    fn devices(&self) -> Devices {
        Devices::new(&Roots::below(self.folder.path()), no_gpus)
    }

    /// A look at this second, with what `/proc/stat` says then.
    fn look(&mut self, devices: &mut Devices, second: u64, stat: &str) -> Vec<DeviceSample> {
        let cpus = stat.lines().filter(|line| line.starts_with("cpu")).count() - 1;
        devices.cores().note(stat, cpus as u32);
        let at = self.start + Duration::from_secs(second);
        devices.look(at, second * 1_000_000_000, &mut self.reader)
    }

    /// A look at a machine of which only what is below `/sys` matters.
    fn glance(&mut self, devices: &mut Devices, second: u64) -> Vec<DeviceSample> {
        self.look(devices, second, "cpu 1 1 1 1\n")
    }
}

/// `/proc/stat` of these CPUs: number, busy and idle ticks.
fn stat(cpus: impl IntoIterator<Item = (u32, u64, u64)>) -> String {
    let line = |(number, busy, idle)| format!("cpu{number} {busy} 0 0 {idle} 3 0 0 0 0 0\n");
    let lines: String = cpus.into_iter().map(line).collect();
    format!("cpu  1 1 1 1 1 1 1 1 0 0\n{lines}intr 1 2 3\nbtime 1764000000\n")
}

fn ids(samples: &[DeviceSample]) -> Vec<&str> {
    samples.iter().map(|sample| sample.id.as_str()).collect()
}

fn utilizations(samples: &[DeviceSample]) -> Vec<(&str, f64)> {
    samples.iter().map(|sample| (sample.id.as_str(), sample.utilization.unwrap())).collect()
}

#[test]
fn each_cpu_is_reported_with_stolen_time_and_without_waiting() {
    let mut machine = FakeMachine::new();
    let mut devices = machine.devices();
    let all_zero = "cpu 0\ncpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n";
    assert_eq!(machine.look(&mut devices, 0, all_zero), []);
    let later = "cpu 0\ncpu0 10 5 5 60 0 0 0 20\ncpu1 0 0 0 10 90 0 0 0\n";
    let samples = machine.look(&mut devices, 1, later);
    assert_eq!(utilizations(&samples), [("cpu0", 0.4), ("cpu1", 0.0)]);
    let DeviceSample { time_ns, kind, throttled, frequency_hz, .. } = samples[0];
    assert_eq!((time_ns, kind), (1_000_000_000, DeviceKind::Cpu));
    assert_eq!((throttled, frequency_hz, &samples[0].name), (None, None, &None));
}

#[test]
fn of_many_cpus_each_has_its_turn_over_the_time_since_its_last() {
    let mut machine = FakeMachine::new();
    let mut devices = machine.devices();
    // CPU n is busy for n ticks of each hundred.
    let at = |second: u64| {
        stat((0..70).map(|n| (n, u64::from(n) * second, (100 - u64::from(n)) * second)))
    };
    assert!(machine.look(&mut devices, 0, &at(0)).is_empty());
    let mut seen = Vec::new();
    for second in 1..=9 {
        let samples = machine.look(&mut devices, second, &at(second));
        assert!((23..=24).contains(&samples.len()), "{}", samples.len());
        for (id, utilization) in utilizations(&samples) {
            let number: f64 = id.strip_prefix("cpu").unwrap().parse().unwrap();
            assert!((utilization - number / 100.0).abs() < 1e-9, "{id} {utilization}");
            seen.push(id.to_owned());
        }
    }
    seen.sort();
    assert_eq!(seen.len(), 3 * 70);
    seen.dedup();
    assert_eq!(seen.len(), 70);
}

#[test]
fn a_cpu_that_goes_and_comes_or_counts_back_makes_no_spike() {
    let mut machine = FakeMachine::new();
    let mut devices = machine.devices();
    machine.look(&mut devices, 0, &stat([(0, 0, 0), (1, 0, 0)]));
    let samples = machine.look(&mut devices, 1, &stat([(0, 50, 50), (1, 50, 50)]));
    assert_eq!(utilizations(&samples), [("cpu0", 0.5), ("cpu1", 0.5)]);
    let samples = machine.look(&mut devices, 2, &stat([(0, 100, 100)]));
    assert_eq!(ids(&samples), ["cpu0"]);
    let samples = machine.look(&mut devices, 3, &stat([(0, 150, 150), (1, 90, 50)]));
    assert_eq!(ids(&samples), ["cpu0"]);
    let samples = machine.look(&mut devices, 4, &stat([(0, 140, 250), (1, 100, 140)]));
    assert_eq!(utilizations(&samples), [("cpu1", 0.1)]);
    // Two looks within a tick say nothing of the second.
    let samples = machine.look(&mut devices, 4, &stat([(0, 140, 250), (1, 100, 140)]));
    assert_eq!(samples, []);
}

#[test]
fn frequency_is_asked_now_and_then_and_throttling_each_time() {
    let mut machine = FakeMachine::new();
    machine.file("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3400000\n");
    let throttles = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count";
    machine.file(throttles, "7\n");
    machine.file("sys/devices/system/cpu/cpufreq/policy0", "no CPU\n");
    let mut devices = machine.devices();
    let mut asked = Vec::new();
    for second in 0..=21 {
        if second == 4 {
            machine.file(throttles, "9\n");
        }
        let stat = stat([(0, second * 50, second * 50), (1, second, second)]);
        for sample in machine.look(&mut devices, second, &stat) {
            if let Some(hertz) = sample.frequency_hz {
                assert_eq!((sample.id.as_str(), hertz), ("cpu0", 3.4e9));
                asked.push(second);
            }
            let expected = (sample.id == "cpu0").then_some(second == 4);
            assert_eq!(sample.throttled, expected, "{second}");
        }
    }
    assert_eq!(asked, [1, 11, 21]);
}

#[test]
fn an_energy_meter_gives_power_and_goes_on_after_its_end() {
    let mut machine = FakeMachine::new();
    let meter = |id: &str, name: &str, energy: &str| {
        machine.file(&format!("sys/class/powercap/{id}/name"), name);
        machine.file(&format!("sys/class/powercap/{id}/energy_uj"), energy);
        machine.file(&format!("sys/class/powercap/{id}/max_energy_range_uj"), "262143328850\n");
    };
    meter("intel-rapl:0", "package-0\n", "1000000\n");
    meter("intel-rapl:0:0", "core\n", "262143000000\n");
    meter("intel-rapl-mmio:0", "package-0\n", "1000000\n");
    meter("intel-rapl:1", "package-1\n", "90000000000\n");
    create_dir_all(machine.folder.path().join("sys/class/powercap/intel-rapl")).unwrap();
    let mut devices = machine.devices();
    assert_eq!(machine.glance(&mut devices, 0), []);
    machine.file("sys/class/powercap/intel-rapl:0/energy_uj", "51000000\n");
    machine.file("sys/class/powercap/intel-rapl:0:0/energy_uj", "671150\n");
    // It began anew long before its end.
    machine.file("sys/class/powercap/intel-rapl:1/energy_uj", "5\n");
    let samples = machine.glance(&mut devices, 2);
    assert_eq!(ids(&samples), ["intel-rapl:0", "intel-rapl:0:0"]);
    assert_eq!((samples[0].power_w, samples[0].name.as_deref()), (Some(25.0), Some("package-0")));
    assert_eq!((samples[1].power_w, samples[1].name.as_deref()), (Some(0.5), Some("core")));
    assert_eq!((samples[0].kind, samples[0].utilization), (DeviceKind::Energy, None));
    let samples = machine.glance(&mut devices, 3);
    assert_eq!(ids(&samples), ["intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"]);
    assert!(samples.iter().all(|sample| sample.power_w == Some(0.0)));
}

#[test]
fn a_meter_that_may_not_be_read_is_absent_until_it_may() {
    let mut machine = FakeMachine::new();
    let energy = machine.folder.path().join("sys/class/powercap/intel-rapl:0/energy_uj");
    // A folder cannot be read as a file, by root neither.
    create_dir_all(&energy).unwrap();
    let mut devices = machine.devices();
    for second in 0..=LIST_EVERY_LOOKS {
        assert_eq!(machine.glance(&mut devices, second), []);
        if second == 30 {
            remove_dir_all(&energy).unwrap();
            machine.file("sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n");
        }
    }
    machine.file("sys/class/powercap/intel-rapl:0/energy_uj", "3000000\n");
    let samples = machine.glance(&mut devices, LIST_EVERY_LOOKS + 1);
    assert_eq!((samples[0].power_w, samples.len()), (Some(2.0), 1));
}

#[test]
fn a_temperature_is_given_once_wherever_it_stands() {
    let mut machine = FakeMachine::new();
    let sensor = |hwmon: &str, chip: &str, number: u32, label: Option<&str>, value: &str| {
        let folder = format!("sys/class/hwmon/{hwmon}");
        machine.file(&format!("{folder}/name"), chip);
        machine.file(&format!("{folder}/temp{number}_input"), value);
        if let Some(label) = label {
            machine.file(&format!("{folder}/temp{number}_label"), label);
        }
    };
    sensor("hwmon10", "coretemp\n", 2, Some("Core 0\n"), "61000\n");
    sensor("hwmon10", "coretemp\n", 1, Some("Package id 0\n"), "63000\n");
    sensor("hwmon2", "nvme\n", 1, Some("Composite\n"), "41850\n");
    sensor("hwmon1", "acpitz\n", 1, None, "27800\n");
    sensor("hwmon3", "nct6775\n", 1, Some("AUXTIN0\n"), "-128000\n");
    sensor("hwmon4", "drivetemp\n", 1, None, "30000\n");
    sensor("hwmon5", "amdgpu\n", 1, Some("edge\n"), "50000\n");
    sensor("hwmon5", "amdgpu\n", 2, Some("junction\n"), "55000\n");
    machine.device("class/hwmon/hwmon10/device", "sys/devices/platform/coretemp.0");
    machine.device("class/hwmon/hwmon2/device", "sys/devices/pci0000:00/nvme/nvme0");
    machine.device("class/hwmon/hwmon1/device", "sys/devices/virtual/thermal/thermal_zone0");
    let zone = |number: u32, kind: &str, value: &str| {
        machine.file(&format!("sys/class/thermal/thermal_zone{number}/type"), kind);
        machine.file(&format!("sys/class/thermal/thermal_zone{number}/temp"), value);
    };
    zone(0, "acpitz\n", "27800\n");
    zone(1, "x86_pkg_temp\n", "63000\n");
    zone(2, "pch_skylake\n", "45500\n");
    zone(3, "INT3400 Thermal\n", "");
    machine.file("sys/class/thermal/cooling_device0/type", "Processor\n");
    let mut devices = machine.devices();
    machine.glance(&mut devices, 0);
    let samples = machine.glance(&mut devices, 1);
    let mut said: Vec<_> = samples
        .iter()
        .map(|it| (it.id.as_str(), it.name.as_deref().unwrap(), it.temperature_c.unwrap()))
        .collect();
    said.sort_by_key(|(id, ..)| *id);
    let expected = [
        ("acpitz-thermal_zone0/temp1", "acpitz", 27.8),
        ("amdgpu/temp2", "amdgpu junction", 55.0),
        ("coretemp-coretemp.0/temp1", "coretemp Package id 0", 63.0),
        ("coretemp-coretemp.0/temp2", "coretemp Core 0", 61.0),
        ("nvme-nvme0/temp1", "nvme Composite", 41.85),
        ("thermal_zone2", "pch_skylake", 45.5),
    ];
    assert_eq!(said, expected);
    assert!(samples.iter().all(|sample| sample.kind == DeviceKind::Temperature));
    let counts: Vec<_> = (2..=7).map(|second| machine.glance(&mut devices, second).len()).collect();
    assert_eq!(counts, [0, 0, 0, 0, 6, 0]);
    // What sleeps is not woken.
    machine.file("sys/devices/pci0000:00/nvme/nvme0/power/runtime_status", "suspended\n");
    let counts: Vec<_> =
        (8..=11).map(|second| machine.glance(&mut devices, second).len()).collect();
    assert_eq!(counts, [0, 0, 0, 5]);
}

#[test]
fn of_too_many_sensors_each_chip_has_its_first() {
    let mut machine = FakeMachine::new();
    machine.file("sys/class/hwmon/hwmon0/name", "coretemp\n");
    for number in 1..=64 {
        machine.file(&format!("sys/class/hwmon/hwmon0/temp{number}_input"), "50000\n");
    }
    machine.file("sys/class/hwmon/hwmon1/name", "nvme\n");
    machine.file("sys/class/hwmon/hwmon1/temp1_input", "40000\n");
    let mut devices = machine.devices();
    machine.glance(&mut devices, 0);
    let samples = machine.glance(&mut devices, 1);
    assert_eq!(samples.len(), 32);
    assert_eq!(ids(&samples)[..3], ["coretemp/temp1", "nvme/temp1", "coretemp/temp2"]);
}

/// A card of AMD's as its driver shows it.
fn amd_card(machine: &FakeMachine, card: &str, address: &str) -> String {
    let device = format!("sys/devices/pci0000:00/{address}");
    machine.device(&format!("class/drm/{card}/device"), &device);
    for (file, content) in [
        ("vendor", "0x1002\n"),
        ("gpu_busy_percent", "87\n"),
        ("mem_info_vram_used", "9663676416\n"),
        ("mem_info_vram_total", "25753026560\n"),
        ("hwmon/hwmon4/name", "amdgpu\n"),
        ("hwmon/hwmon4/power1_average", "287000000\n"),
        ("hwmon/hwmon4/power1_cap", "303000000\n"),
        ("hwmon/hwmon4/temp1_input", "64000\n"),
        ("hwmon/hwmon4/freq1_input", "2405000000\n"),
    ] {
        machine.file(&format!("{device}/{file}"), content);
    }
    device
}

#[test]
fn a_card_of_amd_says_what_its_driver_knows() {
    let mut machine = FakeMachine::new();
    let device = amd_card(&machine, "card1", "0000:03:00.0");
    machine.file(&format!("{device}/product_name"), "Radeon RX 7900 XTX\n");
    machine.file(&format!("{device}/unique_id"), "6a1c2e5d8f3b0974\n");
    // One that is part of the CPU: no name, no number, power read at once, no cap.
    let inner = amd_card(&machine, "card0", "0000:0b:00.0");
    for file in ["hwmon/hwmon4/power1_average", "hwmon/hwmon4/power1_cap", "gpu_busy_percent"] {
        std::fs::remove_file(machine.folder.path().join(&inner).join(file)).unwrap();
    }
    machine.file(&format!("{inner}/hwmon/hwmon4/power1_input"), "15000000\n");
    machine.device("class/drm/card1-HDMI-A-1/device", &device);
    let intel = amd_card(&machine, "card2", "0000:00:02.0");
    machine.file(&format!("{intel}/vendor"), "0x8086\n");
    let mut devices = machine.devices();
    machine.glance(&mut devices, 0);
    let samples = machine.glance(&mut devices, 1);
    let known = DeviceSample {
        time_ns: 1_000_000_000,
        kind: DeviceKind::Gpu,
        id: "6a1c2e5d8f3b0974".to_owned(),
        name: Some("Radeon RX 7900 XTX".to_owned()),
        utilization: Some(0.87),
        memory_used_bytes: Some(9_663_676_416),
        memory_total_bytes: Some(25_753_026_560),
        frequency_hz: Some(2.405e9),
        temperature_c: Some(64.0),
        power_w: Some(287.0),
        power_limit_w: Some(303.0),
        ..DeviceSample::default()
    };
    let inner = DeviceSample {
        id: "0000:0b:00.0".to_owned(),
        name: None,
        utilization: None,
        power_w: Some(15.0),
        power_limit_w: None,
        ..known.clone()
    };
    assert_eq!(samples, [inner, known]);
    machine.file(&format!("{device}/power/runtime_status"), "suspended\n");
    assert_eq!(ids(&machine.glance(&mut devices, 2)), ["0000:0b:00.0"]);
    // Pulled out between two listings.
    remove_dir_all(machine.folder.path().join("sys/devices")).unwrap();
    assert_eq!(machine.glance(&mut devices, 3), []);
}

#[test]
fn nothing_is_said_of_what_is_not_there() {
    let mut machine = FakeMachine::new();
    let mut devices = machine.devices();
    for second in 0..=2 * LIST_EVERY_LOOKS {
        assert_eq!(machine.glance(&mut devices, second), []);
    }
    assert!(devices.gpu_memory().is_empty());
}
