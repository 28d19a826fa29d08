//! AMD's GPUs, on cards and in CPUs, by the files of their driver
//! (<https://docs.kernel.org/gpu/amdgpu/thermal.html>,
//! <https://docs.kernel.org/gpu/amdgpu/driver-misc.html>).

use std::path::PathBuf;

use andon_model::{DeviceKind, DeviceSample};

use super::{Moment, degrees, is_asleep};
use crate::files::{FileReader, Roots, names_in};

const AMD: &str = "0x1002";
const MOST_CARDS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Cards {
    cards: Vec<Card>,
}

#[derive(Debug)]
struct Card {
    id: String,
    name: Option<String>,
    folder: PathBuf,
    /// The chip that measures its power and temperature.
    hwmon: Option<PathBuf>,
}

impl Cards {
    pub(super) fn list(&mut self, roots: &Roots, reader: &mut FileReader) {
        let folder = roots.sys.join("class/drm");
        // `card0-HDMI-A-1` is an outlet of `card0`.
        let is_card = |name: &String| {
            let number = name.strip_prefix("card").map(str::parse::<u32>);
            matches!(number, Some(Ok(_)))
        };
        let names = names_in(&folder).into_iter().filter(is_card);
        let cards = names.filter_map(|name| card(folder.join(name).join("device"), reader));
        self.cards = cards.take(MOST_CARDS).collect();
    }

    pub(super) fn look(
        &self,
        moment: Moment,
        reader: &mut FileReader,
        samples: &mut Vec<DeviceSample>,
    ) {
        samples.extend(self.cards.iter().filter_map(|card| card.look(moment, reader)));
    }
}

fn card(folder: PathBuf, reader: &mut FileReader) -> Option<Card> {
    if reader.line(&folder.join("vendor"))? != AMD {
        return None;
    }
    let is_known =
        ["gpu_busy_percent", "mem_info_vram_total"].iter().any(|file| folder.join(file).exists());
    let device = std::fs::canonicalize(&folder).ok()?;
    let address = device.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let id = reader.line(&folder.join("unique_id")).or(address).filter(|_| is_known)?;
    let chips = folder.join("hwmon");
    let hwmon = names_in(&chips).into_iter().next().map(|name| chips.join(name));
    Some(Card { id, name: reader.line(&folder.join("product_name")), folder, hwmon })
}

impl Card {
    /// `None` while it sleeps, and where it says nothing.
    fn look(&self, moment: Moment, reader: &mut FileReader) -> Option<DeviceSample> {
        if is_asleep(&self.folder, reader) {
            return None;
        }
        let busy: Option<u64> = reader.number(&self.folder.join("gpu_busy_percent"));
        let mut memory = |of: &str| reader.number(&self.folder.join(of));
        let (used, total) = (memory("mem_info_vram_used"), memory("mem_info_vram_total"));
        let mut chip = |file: &str| reader.number::<i64>(&self.hwmon.as_deref()?.join(file));
        let watts = |microwatts: i64| (microwatts > 0).then_some(microwatts as f64 / 1e6);
        let power = chip("power1_average").or_else(|| chip("power1_input"));
        let sample = DeviceSample {
            name: self.name.clone(),
            utilization: busy.map(|percent| (percent as f64 / 100.0).min(1.0)),
            memory_used_bytes: used,
            memory_total_bytes: total,
            frequency_hz: chip("freq1_input").filter(|hertz| *hertz > 0).map(|hertz| hertz as f64),
            temperature_c: chip("temp1_input").and_then(degrees),
            power_w: power.and_then(watts),
            power_limit_w: chip("power1_cap").and_then(watts),
            ..moment.sample(DeviceKind::Gpu, self.id.as_str())
        };
        let says_something = sample.utilization.is_some() || sample.memory_used_bytes.is_some();
        says_something.then_some(sample)
    }
}
