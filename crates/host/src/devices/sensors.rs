//! Temperatures: of the chips that the kernel's hwmon knows, and of thermal zones that no such chip
//! stands for (<https://docs.kernel.org/hwmon/sysfs-interface.html>,
//! <https://docs.kernel.org/driver-api/thermal/sysfs-api.html>).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use andon_model::{DeviceKind, DeviceSample};

use super::{Moment, degrees, is_asleep};
use crate::files::{FileReader, Roots, names_in};

const MOST_SENSORS: usize = 32;

/// Temperatures change slowly, and some chips take milliseconds to answer.
const EVERY_LOOKS: u64 = 5;

/// The CPU's own sensors. A zone of the name below is the same sensor in another place.
const CPU_CHIPS: [&str; 3] = ["coretemp", "k10temp", "zenpower"];
const CPU_ZONE: &str = "x86_pkg_temp";

/// Hard disks: asking keeps some from going to sleep (<https://docs.kernel.org/hwmon/drivetemp.html>).
const DISK_CHIP: &str = "drivetemp";

/// AMD's GPUs have their first temperature in their own row.
const GPU_CHIP: &str = "amdgpu";
const GPU_INPUT: u32 = 1;

#[derive(Debug, Default)]
pub(super) struct Sensors {
    sensors: Vec<Sensor>,
}

#[derive(Debug)]
struct Sensor {
    id: String,
    name: Option<String>,
    file: PathBuf,
    /// What it is the sensor of.
    device: PathBuf,
    /// Of the same chip: the first is that of the whole of it.
    number: u32,
}

impl Sensors {
    pub(super) fn list(&mut self, roots: &Roots, reader: &mut FileReader) {
        let (mut found, mut chips) = (Vec::new(), HashSet::new());
        let folder = roots.sys.join("class/hwmon");
        for name in names_in(&folder) {
            chips.extend(chip(&folder.join(name), reader, &mut found));
        }
        let folder = roots.sys.join("class/thermal");
        for name in names_in(&folder).into_iter().filter(|name| name.starts_with("thermal_zone")) {
            found.extend(zone(&folder.join(&name), name, &chips, reader));
        }
        // Where there are too many, each chip has its first: a large CPU alone has one a core.
        found.sort_by_key(|sensor| sensor.number);
        let mut taken = HashSet::new();
        found.retain(|sensor| taken.insert(sensor.id.clone()));
        found.truncate(MOST_SENSORS);
        self.sensors = found;
    }

    pub(super) fn look(
        &mut self,
        moment: Moment,
        reader: &mut FileReader,
        samples: &mut Vec<DeviceSample>,
    ) {
        // Not at the first, which is nobody's, but at the next.
        if moment.look % EVERY_LOOKS != 1 {
            return;
        }
        for sensor in &self.sensors {
            if is_asleep(&sensor.device, reader) {
                continue;
            }
            let temperature_c = reader.number(&sensor.file).and_then(degrees);
            if temperature_c.is_some() {
                let sample = moment.sample(DeviceKind::Temperature, sensor.id.as_str());
                samples.push(DeviceSample { name: sensor.name.clone(), temperature_c, ..sample });
            }
        }
    }
}

/// Finds the sensors of a chip; gives its names: its own, and that of what it is the chip of.
fn chip(folder: &Path, reader: &mut FileReader, found: &mut Vec<Sensor>) -> Vec<String> {
    let chip = reader.line(&folder.join("name")).filter(|chip| chip != DISK_CHIP);
    let Some(chip) = chip else { return Vec::new() };
    // `hwmon3` may be another chip after the next start; the device is the same.
    let device = std::fs::canonicalize(folder.join("device")).ok();
    let device = device.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    let place = device.map_or_else(|| chip.clone(), |device| format!("{chip}-{device}"));
    for file in names_in(folder) {
        let input = file.strip_prefix("temp").and_then(|rest| rest.strip_suffix("_input"));
        let Some(number) = input.and_then(|number| number.parse::<u32>().ok()) else { continue };
        if chip == GPU_CHIP && number == GPU_INPUT {
            continue;
        }
        let label = reader.line(&folder.join(format!("temp{number}_label")));
        found.push(Sensor {
            id: format!("{place}/temp{number}"),
            name: Some(label.map_or_else(|| chip.clone(), |label| format!("{chip} {label}"))),
            file: folder.join(&file),
            device: folder.join("device"),
            number,
        });
    }
    [Some(chip), device.map(str::to_owned)].into_iter().flatten().collect()
}

/// `None` for a zone that a chip stands for.
fn zone(
    folder: &Path,
    name: String,
    chips: &HashSet<String>,
    reader: &mut FileReader,
) -> Option<Sensor> {
    let kind = reader.line(&folder.join("type"))?;
    // As the kernel names the chip that it makes of a zone.
    let as_chip = kind.replace('-', "_");
    let is_cpu = kind == CPU_ZONE && CPU_CHIPS.iter().any(|chip| chips.contains(*chip));
    if chips.contains(&name) || chips.contains(&as_chip) || is_cpu {
        return None;
    }
    let (file, device) = (folder.join("temp"), folder.join("device"));
    Some(Sensor { id: name, name: Some(kind), file, device, number: 1 })
}
