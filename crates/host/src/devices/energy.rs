//! Energy meters of the CPU (RAPL, <https://docs.kernel.org/power/powercap/powercap.html>): what a
//! package, its cores, its memory or the whole board draw. Since 2020 only root may read them on most
//! systems, because they betray what other programs compute.

use std::path::PathBuf;
use std::time::Instant;

use andon_model::{DeviceKind, DeviceSample};

use super::Moment;
use crate::files::{FileReader, Roots, names_in};
use crate::rates::Elapsed;

/// More than any of these parts draws: then the counter began anew, as it does after a sleep.
const MOST_WATTS: f64 = 10_000.0;

#[derive(Debug, Default)]
pub(super) struct Meters {
    meters: Vec<Meter>,
    is_refusal_told: bool,
}

#[derive(Debug)]
struct Meter {
    id: String,
    name: Option<String>,
    energy: PathBuf,
    /// Where the counter goes on from 0, in microjoules.
    range_uj: Option<u64>,
    before: Option<(Instant, u64)>,
}

impl Meters {
    pub(super) fn list(&mut self, roots: &Roots, reader: &mut FileReader) {
        let folder = roots.sys.join("class/powercap");
        let mut before = std::mem::take(&mut self.meters);
        // Not `intel-rapl-mmio:0`, which is the same meter read in another way.
        for id in names_in(&folder).into_iter().filter(|name| name.starts_with("intel-rapl:")) {
            let energy = folder.join(&id).join("energy_uj");
            if reader.number::<u64>(&energy).is_none() {
                self.tell_refusal(&energy);
                continue;
            }
            let known = before.iter().position(|meter| meter.id == id);
            self.meters.push(match known {
                Some(place) => before.swap_remove(place),
                None => Meter {
                    name: reader.line(&folder.join(&id).join("name")),
                    range_uj: reader.number(&folder.join(&id).join("max_energy_range_uj")),
                    id,
                    energy,
                    before: None,
                },
            });
        }
    }

    fn tell_refusal(&mut self, energy: &std::path::Path) {
        if !self.is_refusal_told && energy.exists() {
            self.is_refusal_told = true;
            let path = energy.display();
            tracing::debug!(%path, "energy is not measured: this user may not read its meters");
        }
    }

    pub(super) fn look(
        &mut self,
        moment: Moment,
        reader: &mut FileReader,
        samples: &mut Vec<DeviceSample>,
    ) {
        for meter in &mut self.meters {
            let now = reader.number::<u64>(&meter.energy).map(|energy| (moment.at, energy));
            let before = std::mem::replace(&mut meter.before, now);
            let power_w = before.zip(now).and_then(|((then, before), (at, now))| {
                let elapsed = Elapsed::new(at.saturating_duration_since(then));
                let used_uj = used(before, now, meter.range_uj)?;
                Some(elapsed.rate(0, used_uj) / 1e6).filter(|watts| *watts <= MOST_WATTS)
            });
            if power_w.is_some() {
                let sample = moment.sample(DeviceKind::Energy, meter.id.as_str());
                samples.push(DeviceSample { name: meter.name.clone(), power_w, ..sample });
            }
        }
    }
}

/// Microjoules between two looks at a counter that begins anew at its end.
fn used(before: u64, now: u64, range_uj: Option<u64>) -> Option<u64> {
    match now.checked_sub(before) {
        Some(used) => Some(used),
        None => range_uj?.checked_sub(before).map(|rest| rest.saturating_add(now)),
    }
}
