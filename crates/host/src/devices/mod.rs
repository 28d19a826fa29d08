//! The machine's parts, each for itself: CPUs, GPUs, temperatures, energy.
//!
//! What a newcomer gets wrong: a part is not in every look. Of many CPUs each has its turn, sensors are
//! asked at every fifth look, and what could not be read is left out, never written as 0. Which parts
//! there are is found out at the start and once a minute, since listing folders costs more than reading
//! what is in them.

mod amd;
mod cores;
mod energy;
mod nvidia;
mod nvml;
mod sensors;

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use andon_model::{DeviceKind, DeviceSample, UnixNanos};

pub(crate) use self::cores::Cores;
pub(crate) use self::nvidia::Open;
pub(crate) use self::nvml::open_nvml;

use self::amd::Cards;
use self::energy::Meters;
use self::nvidia::Nvidia;
use self::sensors::Sensors;
use crate::files::{FileReader, Roots};

/// Looks from one listing of what there is to the next.
const LIST_EVERY_LOOKS: u64 = 60;

/// When a look happens, on both clocks and by number.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    time_ns: UnixNanos,
    /// From 0, the look that rates are reckoned from.
    look: u64,
}

impl Moment {
    /// A sample of which nothing is known but this.
    fn sample(self, kind: DeviceKind, id: impl Into<String>) -> DeviceSample {
        DeviceSample { time_ns: self.time_ns, kind, id: id.into(), ..DeviceSample::default() }
    }
}

#[derive(Debug)]
pub(crate) struct Devices {
    roots: Roots,
    look: u64,
    cores: Cores,
    sensors: Sensors,
    meters: Meters,
    cards: Cards,
    nvidia: Nvidia,
}

impl Devices {
    pub(crate) fn new(roots: &Roots, open_gpus: Open) -> Self {
        Self {
            roots: roots.clone(),
            look: 0,
            cores: Cores::default(),
            sensors: Sensors::default(),
            meters: Meters::default(),
            cards: Cards::default(),
            nvidia: Nvidia::new(open_gpus),
        }
    }

    /// Where the ticks of each CPU are noted before a [`look`](Self::look).
    pub(crate) fn cores(&mut self) -> &mut Cores {
        &mut self.cores
    }

    /// Bytes on NVIDIA's GPUs by process, as of the last looks.
    pub(crate) fn gpu_memory(&self) -> &HashMap<u32, u64> {
        self.nvidia.memory()
    }

    /// What there is to say since the look before.
    pub(crate) fn look(
        &mut self,
        at: Instant,
        time_ns: UnixNanos,
        reader: &mut FileReader,
    ) -> Vec<DeviceSample> {
        let moment = Moment { at, time_ns, look: self.look };
        self.look += 1;
        if moment.look.is_multiple_of(LIST_EVERY_LOOKS) {
            self.cores.list(&self.roots);
            self.cards.list(&self.roots, reader);
            self.sensors.list(&self.roots, reader);
            self.meters.list(&self.roots, reader);
            self.nvidia.list(&self.roots, moment);
        }
        let mut samples = Vec::new();
        self.cores.look(moment, reader, &mut samples);
        self.nvidia.look(&self.roots, moment, reader, &mut samples);
        self.cards.look(moment, reader, &mut samples);
        self.sensors.look(moment, reader, &mut samples);
        self.meters.look(moment, reader, &mut samples);
        samples
    }
}

/// Degrees from the kernel's thousandths, where they can be true: a sensor that is not connected says
/// anything.
fn degrees(thousandths: i64) -> Option<f64> {
    let degrees = thousandths as f64 / 1000.0;
    (-50.0..=200.0).contains(&degrees).then_some(degrees)
}

/// Whether the device of this folder of `/sys` is put to sleep to save power
/// (<https://docs.kernel.org/power/runtime_pm.html>): asking it anything would wake it.
fn is_asleep(device: &Path, reader: &mut FileReader) -> bool {
    reader.line(&device.join("power/runtime_status")).as_deref() == Some("suspended")
}

#[cfg(test)]
pub(crate) use self::nvidia::{Card, Driver, Failure, Reading};

/// A machine without NVIDIA's driver.
#[cfg(test)]
pub(crate) fn no_gpus() -> Result<Box<dyn Driver>, Failure> {
    Err(Failure::Driver("no library".to_owned()))
}

#[cfg(test)]
mod tests;
