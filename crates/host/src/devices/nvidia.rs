//! NVIDIA's GPUs: what is made of what their driver says, and what becomes of it when it stops saying
//! anything. The calls themselves are in [`super::nvml`].

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use andon_model::{DeviceKind, DeviceSample};

use super::{Moment, degrees, is_asleep};
use crate::files::{FileReader, Roots};

const MOST_GPUS: u32 = 64;

/// A driver that was there and failed is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// A look at all GPUs that takes longer holds up the other samples of the second, …
const SLOW: Duration = Duration::from_millis(200);
/// … so that a slow driver is asked at every tenth look only.
const SLOW_EVERY_LOOKS: u64 = 10;

/// Which processes hold memory is the dearest question, and changes slowly.
const MEMORY_EVERY_LOOKS: u64 = 5;

/// Reasons for a lower clock that are heat or power, as NVML numbers them
/// (<https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html>): power cap, hardware
/// slowdown, thermal slowdown by software and by hardware, power brake.
const HELD_DOWN: u64 = 0x04 | 0x08 | 0x20 | 0x40 | 0x80;

/// How the driver is opened.
pub(crate) type Open = fn() -> Result<Box<dyn Driver>, Failure>;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// This one GPU does not answer.
    Gpu,
    /// None does: no library, no driver, or not the one that was opened.
    Driver(String),
}

/// The driver's library. What a GPU does not support is `None`.
pub(crate) trait Driver: Debug + Send {
    fn count(&mut self) -> Result<u32, Failure>;
    fn card(&mut self, index: u32) -> Result<Card, Failure>;
    fn reading(&mut self, index: u32) -> Result<Reading, Failure>;
    /// Bytes by process; those whose bytes are not told are left out.
    fn memory(&mut self, index: u32) -> Result<Vec<(u32, u64)>, Failure>;
}

/// What does not change about a GPU.
#[derive(Debug, Clone, Default)]
pub(crate) struct Card {
    pub(crate) uuid: String,
    pub(crate) name: Option<String>,
    /// As `/sys/bus/pci/devices` names it.
    pub(crate) pci_address: Option<String>,
    pub(crate) memory_bus_bits: Option<u32>,
    pub(crate) memory_clock_max_mhz: Option<u32>,
}

/// One look at a GPU, in NVML's units.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    pub(crate) busy_percent: Option<u32>,
    pub(crate) memory_used_bytes: Option<u64>,
    pub(crate) memory_total_bytes: Option<u64>,
    pub(crate) clock_mhz: Option<u32>,
    pub(crate) degrees: Option<u32>,
    pub(crate) milliwatts: Option<u32>,
    pub(crate) limit_milliwatts: Option<u32>,
    pub(crate) throttle_reasons: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Nvidia {
    open: Open,
    driver: Option<Box<dyn Driver>>,
    /// By index; `None` for one that does not answer.
    cards: Vec<Option<Card>>,
    memory: HashMap<u32, u64>,
    is_slow: bool,
    /// Whether the driver's files were there when they were looked for.
    is_expected: Option<bool>,
    /// When a driver that failed is tried again.
    retry_at: Option<Instant>,
    is_absence_told: bool,
}

impl Nvidia {
    pub(super) fn new(open: Open) -> Self {
        Self {
            open,
            driver: None,
            cards: Vec::new(),
            memory: HashMap::new(),
            is_slow: false,
            is_expected: None,
            retry_at: None,
            is_absence_told: false,
        }
    }

    pub(super) fn memory(&self) -> &HashMap<u32, u64> {
        &self.memory
    }

    /// Tries the driver at the start, and when it has appeared since; asks for what GPUs there are.
    pub(super) fn list(&mut self, roots: &Roots, moment: Moment) {
        let is_there =
            roots.dev.join("nvidiactl").exists() || roots.proc.join("driver/nvidia").exists();
        let before = self.is_expected.replace(is_there);
        // At the start whatever there is: a virtual machine may have the library alone.
        let is_news = before.is_none() || before == Some(false) && is_there;
        if self.driver.is_none() && self.retry_at.is_none() && is_news {
            self.try_open(moment);
        } else if self.driver.is_some()
            && let Err(failure) = self.find_cards()
        {
            self.fail(failure, moment);
        }
    }

    fn try_open(&mut self, moment: Moment) {
        match (self.open)() {
            Ok(driver) => {
                self.driver = Some(driver);
                self.retry_at = None;
                if let Err(failure) = self.find_cards() {
                    self.fail(failure, moment);
                }
            }
            Err(failure) => {
                if !self.is_absence_told {
                    self.is_absence_told = true;
                    tracing::debug!(?failure, "no GPU of NVIDIA's is measured");
                }
                // It was there once.
                self.retry_at = self.retry_at.map(|_| moment.at + RETRY_AFTER);
            }
        }
    }

    fn find_cards(&mut self) -> Result<(), Failure> {
        let Some(driver) = &mut self.driver else { return Ok(()) };
        self.cards.clear();
        for index in 0..driver.count()?.min(MOST_GPUS) {
            self.cards.push(match driver.card(index) {
                Ok(card) => Some(card),
                Err(Failure::Gpu) => None,
                Err(failure) => return Err(failure),
            });
        }
        Ok(())
    }

    fn fail(&mut self, failure: Failure, moment: Moment) {
        tracing::debug!(?failure, "the driver of NVIDIA's GPUs does not answer any more");
        self.driver = None;
        self.cards.clear();
        self.memory.clear();
        self.is_slow = false;
        self.retry_at = Some(moment.at + RETRY_AFTER);
    }

    pub(super) fn look(
        &mut self,
        roots: &Roots,
        moment: Moment,
        reader: &mut FileReader,
        samples: &mut Vec<DeviceSample>,
    ) {
        if self.driver.is_none() && self.retry_at.is_some_and(|at| moment.at >= at) {
            self.try_open(moment);
        }
        if self.is_slow && !moment.look.is_multiple_of(SLOW_EVERY_LOOKS) {
            return;
        }
        let begun = Instant::now();
        match self.read(roots, moment, reader) {
            Ok(read) => samples.extend(read),
            Err(failure) => self.fail(failure, moment),
        }
        self.took(begun.elapsed());
    }

    fn took(&mut self, time: Duration) {
        let is_slow = time > SLOW;
        if is_slow && !self.is_slow {
            let ms = time.as_millis();
            tracing::debug!(ms, "NVIDIA's driver is slow, and is asked less often");
        }
        self.is_slow = is_slow;
    }

    fn read(
        &mut self,
        roots: &Roots,
        moment: Moment,
        reader: &mut FileReader,
    ) -> Result<Vec<DeviceSample>, Failure> {
        let Some(driver) = &mut self.driver else { return Ok(Vec::new()) };
        let asks_memory = self.is_slow || moment.look % MEMORY_EVERY_LOOKS == 1;
        if asks_memory {
            self.memory.clear();
        }
        let mut samples = Vec::with_capacity(self.cards.len());
        for (index, card) in (0..).zip(&self.cards) {
            let Some(card) = card else { continue };
            let devices = roots.sys.join("bus/pci/devices");
            let folder = card.pci_address.as_deref().map(|address| devices.join(address));
            if folder.is_some_and(|folder| is_asleep(&folder, reader)) {
                continue;
            }
            match driver.reading(index) {
                Ok(reading) => samples.push(sample(card, reading, moment)),
                Err(Failure::Gpu) => continue,
                Err(failure) => return Err(failure),
            }
            if asks_memory && let Ok(held) = driver.memory(index) {
                for (pid, bytes) in held {
                    let sum = self.memory.entry(pid).or_default();
                    *sum = sum.saturating_add(bytes);
                }
            }
        }
        Ok(samples)
    }
}

fn sample(card: &Card, reading: Reading, moment: Moment) -> DeviceSample {
    let watts = |milliwatts: u32| f64::from(milliwatts) / 1e3;
    DeviceSample {
        name: card.name.clone(),
        utilization: reading.busy_percent.map(|percent| (f64::from(percent) / 100.0).min(1.0)),
        memory_used_bytes: reading.memory_used_bytes,
        memory_total_bytes: reading.memory_total_bytes,
        frequency_hz: reading.clock_mhz.map(|mhz| f64::from(mhz) * 1e6),
        temperature_c: reading.degrees.and_then(|whole| degrees(i64::from(whole) * 1000)),
        power_w: reading.milliwatts.map(watts),
        power_limit_w: reading.limit_milliwatts.map(watts),
        memory_bandwidth_bytes_per_s: bandwidth(card),
        throttled: reading.throttle_reasons.map(|reasons| reasons & HELD_DOWN != 0),
        ..moment.sample(DeviceKind::Gpu, card.uuid.as_str())
    }
}

/// Two transfers in each cycle of the clock, as NVML counts cycles for all kinds of memory.
fn bandwidth(card: &Card) -> Option<f64> {
    let (bits, mhz) = card.memory_bus_bits.zip(card.memory_clock_max_mhz)?;
    let is_known = bits > 0 && mhz > 0;
    is_known.then(|| f64::from(bits) / 8.0 * f64::from(mhz) * 1e6 * 2.0)
}

#[cfg(test)]
mod tests;
