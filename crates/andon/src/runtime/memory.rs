//! What runtimes have in memory and how busy they are, on the way to the store.

use std::sync::Arc;

use andon_diagnose::Diagnoser;
use andon_gateway::{RuntimeCatalog, RuntimeLoad, RuntimeMemory};
use andon_model::{MetricKind, MetricPoint, Source, Span, UnixNanos};
use andon_store::{Record, Store};

/// What does not change is told again so often.
const AGAIN_NS: u64 = 60_000_000_000;

/// Stores and tells the diagnosis what changes, for as long as it is polled.
pub(crate) async fn keep_memory(
    catalog: RuntimeCatalog,
    diagnoser: Arc<Diagnoser>,
    store: Arc<dyn Store>,
) {
    let mut looks = catalog.subscribe();
    let mut memory = RuntimeMemory::default();
    let mut told = Told::default();
    let mut name = String::new();
    while looks.changed().await.is_ok() {
        let models = Arc::clone(&looks.borrow_and_update());
        let ready = catalog.target().state().ready;
        let is_there = ready.is_some();
        if let Some(runtime) = ready {
            name = runtime.name;
        }
        let now_ns = Span::now_ns();
        let events = memory.look(&name, is_there.then_some(&models), now_ns);
        events.iter().for_each(|event| diagnoser.note_model(event));
        let load = if is_there { catalog.load() } else { RuntimeLoad::default() };
        let records =
            [Record::ModelEvents(events), Record::Metrics(told.points(&name, load, now_ns))];
        for record in records.into_iter().filter(|record| !record.is_empty()) {
            let stored = match store.append(record) {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            if let Err(error) = stored {
                tracing::debug!(%error, "what a runtime has in memory was not stored");
            }
        }
    }
}

/// The last figures that were stored.
#[derive(Default)]
struct Told {
    load: RuntimeLoad,
    time_ns: UnixNanos,
}

impl Told {
    /// Points of the metrics `andon.runtime.*`, where there is something to tell.
    fn points(&mut self, runtime: &str, load: RuntimeLoad, now_ns: UnixNanos) -> Vec<MetricPoint> {
        if load == self.load && now_ns.abs_diff(self.time_ns) < AGAIN_NS {
            return Vec::new();
        }
        let count = |value: Option<u32>| value.map(f64::from);
        let figures = [
            ("andon.runtime.requests.running", "{request}", count(load.running)),
            ("andon.runtime.requests.waiting", "{request}", count(load.waiting)),
            ("andon.runtime.cache.used", "1", load.cache_used),
        ];
        (self.load, self.time_ns) = (load, now_ns);
        let point = |(name, unit, value): (&str, &str, Option<f64>)| {
            Some(MetricPoint {
                value: Some(value?),
                unit: Some(unit.to_owned()),
                service: Some(runtime.to_owned()),
                source: Source::Capture,
                ..MetricPoint::new(name, MetricKind::Gauge, now_ns)
            })
        };
        figures.into_iter().filter_map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_stored_when_it_changes_and_once_a_minute() {
        let mut told = Told::default();
        let busy = |running| RuntimeLoad { running, ..RuntimeLoad::default() };
        let mut at = |running, seconds: u64| {
            let points = told.points("vllm", busy(running), seconds * 1_000_000_000);
            points.iter().map(|point| point.value).collect::<Vec<_>>()
        };
        assert_eq!(at(None, 100), []);
        assert_eq!(at(Some(2), 105), [Some(2.0)]);
        assert_eq!(at(Some(2), 110), []);
        assert_eq!(at(Some(3), 115), [Some(3.0)]);
        assert_eq!(at(Some(3), 175), [Some(3.0)]);
    }
}
