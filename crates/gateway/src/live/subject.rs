//! Whose call it is.

use std::sync::Arc;

use andon_model::{RequestId, SpanId, TraceId};

use super::Outlook;

/// What is known of a call beside where it stands, for whoever looks.
pub(crate) trait Subject: Send + Sync {
    fn trace_id(&self) -> TraceId;
    fn span_id(&self) -> SpanId;
    /// `None` where the caller gave none and hears of none.
    fn request_id(&self) -> Option<&RequestId>;
    fn service(&self) -> &str;
    fn route(&self) -> &str;

    /// `None` while it is not known: finding it in a captured request costs more than passing the
    /// request on, so it is looked for when somebody wants to see it.
    fn model(&self) -> Option<String>;

    /// How its prompt should go, where nobody says how it goes. `None` until that has been worked
    /// out, which the first question for it sets going.
    fn outlook(self: Arc<Self>) -> Option<Outlook> {
        None
    }

    /// How many calls its runtime works on at a time, where that is known.
    fn slots(&self) -> Option<u32> {
        None
    }
}

/// A call of which everything is known when it begins.
pub(crate) struct Fixed {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) request_id: RequestId,
    pub(crate) service: String,
    pub(crate) route: String,
    pub(crate) model: String,
}

impl Subject for Fixed {
    fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    fn span_id(&self) -> SpanId {
        self.span_id
    }

    fn request_id(&self) -> Option<&RequestId> {
        Some(&self.request_id)
    }

    fn service(&self) -> &str {
        &self.service
    }

    fn route(&self) -> &str {
        &self.route
    }

    fn model(&self) -> Option<String> {
        Some(self.model.clone())
    }
}
