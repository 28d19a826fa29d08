//! Models that were seen to leave a runtime's memory, by whatever way they had been asked for.

use std::collections::VecDeque;

use andon_model::{Cause, ModelEvent, ModelEventKind, UnixNanos, UnloadReason, canonical_model};

use crate::diagnosis::Fact;

const MOST: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Departures(VecDeque<ModelEvent>);

impl Departures {
    /// In the order of time. One of which the reason was not seen says nothing.
    pub(crate) fn note(&mut self, event: &ModelEvent) {
        if event.kind != ModelEventKind::Unloaded || event.reason.is_none() {
            return;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(event.clone());
    }

    /// The last time that the model left before it was loaded at `load_ns`.
    pub(crate) fn last(
        &self,
        runtime: &str,
        model: &str,
        load_ns: UnixNanos,
    ) -> Option<&ModelEvent> {
        let model = canonical_model(model);
        let is_it = |event: &&ModelEvent| {
            event.runtime == runtime
                && canonical_model(&event.model) == model
                && event.after_ns.unwrap_or(0) < load_ns
        };
        self.0.iter().rev().find(is_it)
    }
}

/// Why a model was not there, from how it was seen to leave.
pub(crate) fn reason(left: &ModelEvent) -> Option<(Cause, Option<Fact>)> {
    Some(match left.reason? {
        UnloadReason::Expired => (Cause::KeepAliveExpired, None),
        UnloadReason::Evicted => {
            let other = left.other_model.clone().map(|model| Fact::OtherModel { model });
            (Cause::Evicted, other)
        }
        UnloadReason::RuntimeGone => {
            (Cause::ColdStart, Some(Fact::FirstCall { runtime_restarted: true }))
        }
    })
}
