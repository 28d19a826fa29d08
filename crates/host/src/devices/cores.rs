//! Each logical CPU: how busy it was, how fast it runs, whether heat held it down.

use std::collections::HashMap;
use std::path::PathBuf;

use andon_model::{DeviceKind, DeviceSample};

use super::Moment;
use crate::files::{FileReader, Roots, names_in};
use crate::parse::{CoreTicks, core_ticks};

/// CPUs that are reported at a look; of more, each has its turn.
const MOST_AT_A_LOOK: usize = 32;

/// Asking for the frequency wakes the core up, so each is asked at every tenth look at most.
const FREQUENCY_EVERY_LOOKS: u64 = 10;

#[derive(Debug, Default)]
pub(crate) struct Cores {
    /// The CPUs whose turn it is, as of this look.
    noted: Vec<CoreTicks>,
    /// Looks until each has had its turn.
    every: u64,
    look: u64,
    before: HashMap<u32, Before>,
    files: HashMap<u32, Files>,
}

/// What a CPU's next report is reckoned from.
#[derive(Debug)]
struct Before {
    look: u64,
    ticks: CoreTicks,
    throttles: Option<u64>,
    frequency_look: Option<u64>,
}

/// What else there is to ask about a CPU.
#[derive(Debug, Default)]
struct Files {
    frequency: Option<PathBuf>,
    throttles: Option<PathBuf>,
}

impl Cores {
    /// Takes from `/proc/stat` what the next look needs of it.
    pub(crate) fn note(&mut self, stat: &str, online_cpus: u32) {
        let turns = (online_cpus as usize).div_ceil(MOST_AT_A_LOOK).max(1);
        self.every = turns as u64;
        // All of them at first: rates need a beginning.
        let turns = if self.look == 0 { 1 } else { turns };
        core_ticks(stat, turns, (self.look % turns as u64) as usize, &mut self.noted);
    }

    pub(super) fn list(&mut self, roots: &Roots) {
        let folder = roots.sys.join("devices/system/cpu");
        let of_one = |name: String| {
            let number: u32 = name.strip_prefix("cpu")?.parse().ok()?;
            let file = |path| Some(folder.join(&name).join(path)).filter(|path| path.exists());
            let frequency = file("cpufreq/scaling_cur_freq");
            let throttles = file("thermal_throttle/core_throttle_count");
            let has_any = frequency.is_some() || throttles.is_some();
            has_any.then_some((number, Files { frequency, throttles }))
        };
        self.files = names_in(&folder).into_iter().filter_map(of_one).collect();
        let (now, kept_for) = (self.look, 2 * self.every);
        self.before.retain(|_, before| now - before.look < kept_for);
    }

    pub(super) fn look(
        &mut self,
        moment: Moment,
        reader: &mut FileReader,
        samples: &mut Vec<DeviceSample>,
    ) {
        let noted = std::mem::take(&mut self.noted);
        for ticks in &noted {
            samples.extend(self.report(*ticks, moment, reader));
        }
        self.noted = noted;
        self.look += 1;
    }

    /// `None` for a CPU that was not there when it was its turn the last time, or whose counters went
    /// back: nothing is known then of how long it took.
    fn report(
        &mut self,
        ticks: CoreTicks,
        moment: Moment,
        reader: &mut FileReader,
    ) -> Option<DeviceSample> {
        let files = self.files.get(&ticks.number);
        let throttles = files
            .and_then(|files| files.throttles.as_deref())
            .and_then(|path| reader.number::<u64>(path));
        let now = Before { look: self.look, ticks, throttles, frequency_look: None };
        let before = self.before.insert(ticks.number, now)?;
        let is_missed = self.look - before.look >= 2 * self.every;
        let busy = ticks.busy.checked_sub(before.ticks.busy)?;
        let total = ticks.total.checked_sub(before.ticks.total).filter(|total| *total > 0)?;
        if is_missed {
            return None;
        }
        let is_due = |last| self.look - last >= FREQUENCY_EVERY_LOOKS;
        let is_asked = before.frequency_look.is_none_or(is_due);
        let frequency = files
            .and_then(|files| files.frequency.as_deref())
            .filter(|_| is_asked)
            .and_then(|path| reader.number::<u64>(path));
        if let Some(now) = self.before.get_mut(&ticks.number) {
            now.frequency_look = if is_asked { Some(self.look) } else { before.frequency_look };
        }
        let throttled =
            before.throttles.zip(throttles).map(|(before, throttles)| throttles > before);
        Some(DeviceSample {
            utilization: Some((busy as f64 / total as f64).min(1.0)),
            frequency_hz: frequency.filter(|khz| *khz > 0).map(|khz| khz as f64 * 1e3),
            throttled,
            ..moment.sample(DeviceKind::Cpu, format!("cpu{}", ticks.number))
        })
    }
}
