//! Samples of the machine, its processes and its parts, by time.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use andon_model::{DeviceSample, HostSample, ModelEvent, ProcessSample, UnixNanos};
use arrow::array::RecordBatch;

use super::Shared;
use crate::{
    StoreError,
    segment::{Visit, of_host, times_of},
    table::Row,
};

/// Samples come once a second: shorter steps leave out nothing.
const SHORTEST_STEP_NS: u64 = 500_000_000;
const MOST_EVENTS: usize = 20_000;

pub(super) trait Sample: Row {
    fn time_ns(&self) -> UnixNanos;
}

impl Sample for HostSample {
    fn time_ns(&self) -> UnixNanos {
        self.time_ns
    }
}

impl Sample for ProcessSample {
    fn time_ns(&self) -> UnixNanos {
        self.time_ns
    }
}

impl Sample for DeviceSample {
    fn time_ns(&self) -> UnixNanos {
        self.time_ns
    }
}

impl Shared {
    pub(super) fn samples<T: Sample>(
        &self,
        host: Option<&str>,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<T>, StoreError> {
        let range_ns = to_ns.saturating_sub(from_ns);
        let limit = self.config.sample_range;
        if u128::from(range_ns) > limit.as_nanos() {
            return Err(StoreError::RangeTooLong { limit_hours: limit.as_secs() / 3_600 });
        }
        let (hot, segments) = {
            let state = self.read();
            (state.hot.batches(T::TABLE), Arc::clone(&state.segments))
        };
        let step_ns = range_ns / self.config.sample_points.max(1);
        let thinning = Thinning { from_ns, to_ns, step_ns, kept: None };
        let thinning = Arc::new(Mutex::new(thinning));
        let mut samples: Vec<T> = Vec::new();
        let is_wanted = {
            let thinning = Arc::clone(&thinning);
            move |time_ns| thinning.lock().unwrap_or_else(PoisonError::into_inner).keeps(time_ns)
        };
        for segment in segments.iter().filter(|segment| segment.info.table == T::TABLE) {
            if !segment.info.overlaps(from_ns, to_ns) {
                continue;
            }
            let visit = Visit::between(from_ns, to_ns).of_host_at(host, is_wanted.clone());
            let read = segment.visit(visit, &mut |batch| {
                samples.extend(T::read_all(batch));
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                self.note_unreadable(&error);
            }
        }
        for batch in &hot {
            samples.extend(wanted_rows::<T>(&of_host(batch, host), &is_wanted));
        }
        samples.sort_by_key(Sample::time_ns);
        Ok(samples)
    }
}

impl Shared {
    /// All of them: they are few, and each counts.
    pub(super) fn model_events(
        &self,
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    ) -> Result<Vec<ModelEvent>, StoreError> {
        let table = ModelEvent::TABLE;
        let (hot, segments) = {
            let state = self.read();
            (state.hot.batches(table), Arc::clone(&state.segments))
        };
        let mut events: Vec<ModelEvent> = Vec::new();
        for segment in segments
            .iter()
            .filter(|segment| segment.info.table == table && segment.info.overlaps(from_ns, to_ns))
        {
            let read = segment.visit(Visit::between(from_ns, to_ns), &mut |batch| {
                events.extend(ModelEvent::read_all(batch));
                ControlFlow::Continue(())
            });
            if let Err(error) = read {
                self.note_unreadable(&error);
            }
        }
        events.extend(hot.iter().flat_map(ModelEvent::read_all));
        events.retain(|event| (from_ns..=to_ns).contains(&event.time_ns));
        events.sort_by_key(|event| event.time_ns);
        // The newest, where somebody loads and unloads without end.
        Ok(events.split_off(events.len().saturating_sub(MOST_EVENTS)))
    }
}

fn wanted_rows<T: Sample>(batch: &RecordBatch, is_wanted: &impl Fn(UnixNanos) -> bool) -> Vec<T> {
    let Some(times) = times_of(batch, T::TABLE.time_column()) else { return Vec::new() };
    let places: Vec<_> = times
        .values()
        .iter()
        .enumerate()
        .filter(|(_, time)| is_wanted(time.unsigned_abs()))
        .map(|(place, _)| place)
        .collect();
    T::read(batch, &places)
}

/// Keeps the rows of one time in each step, so that an answer has a bounded number of points.
struct Thinning {
    from_ns: UnixNanos,
    to_ns: UnixNanos,
    step_ns: u64,
    /// The step that has its rows, and their time.
    kept: Option<(u64, UnixNanos)>,
}

impl Thinning {
    /// To be asked in the order of time.
    fn keeps(&mut self, time_ns: UnixNanos) -> bool {
        if !(self.from_ns..=self.to_ns).contains(&time_ns) {
            return false;
        }
        if self.step_ns <= SHORTEST_STEP_NS {
            return true;
        }
        let step = time_ns / self.step_ns;
        match self.kept {
            Some((kept, of)) if kept == step => time_ns == of,
            _ => {
                self.kept = Some((step, time_ns));
                true
            }
        }
    }
}
