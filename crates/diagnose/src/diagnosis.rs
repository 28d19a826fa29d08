//! What was found out about a call.

use andon_model::{AttributeValue, Cause, Phase, Span, TraceId, UnixNanos};
use serde::{Deserialize, Serialize};

/// Where a span keeps its [`Diagnosis`], as JSON.
pub const ATTRIBUTE: &str = "andon.diagnosis";

/// Why a call took as long as it did, or failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The main one; `none` where nothing is unusual.
    pub cause: Cause,
    /// How sure that is, 0 to 1.
    pub confidence: f32,
    /// All that took a good part of the time, the main one first.
    pub findings: Vec<Finding>,
}

/// One cause, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub cause: Cause,
    /// The phase that it made longer; `None` for time outside of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Nanoseconds that the call would not have taken without it.
    pub ns: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
}

/// Something that was measured. Durations in ns, memory in bytes, CPU in cores, shares 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// Nobody had called the model for so long, and so long it is kept.
    Idle {
        ns: u64,
        kept_ns: u64,
    },
    /// The first call to this model that Andon has seen, or the first since the runtime started.
    FirstCall {
        runtime_restarted: bool,
    },
    /// This model was loaded in between.
    OtherModel {
        model: String,
    },
    /// An option that needs the model to be loaded anew; nothing is the runtime's default.
    Option {
        name: String,
        from: Option<String>,
        to: Option<String>,
    },
    /// Tokens read anew, taken from the cache, and read anew in a usual call.
    Prompt {
        read: u64,
        cached: u64,
        usual: Option<u64>,
    },
    /// The part of the prompt that was another one than before: `system`, `message 3`.
    Parted {
        at: String,
    },
    /// Tokens of the answer, and of a usual one.
    Answer {
        tokens: u64,
        usual: u64,
    },
    /// Tokens a second, and as usual.
    Pace {
        now: f64,
        usual: f64,
    },
    /// How long this phase usually takes.
    UsualTime {
        ns: u64,
    },
    /// Cores that other programs used, of how many.
    OtherPrograms {
        cores: f64,
        of: u32,
    },
    /// So many threads of the model find a core of their own beside them; it may have more.
    FreeThreads {
        count: u32,
    },
    /// The one among them that used most.
    Process {
        name: String,
        cores: f64,
    },
    Steal {
        share: f64,
    },
    Throttled {
        share: f64,
    },
    /// Share of the time that tasks waited for memory, and what came back from swap.
    Memory {
        pressure: Option<f64>,
        swap_in_bytes_per_s: Option<f64>,
        used: u64,
        total: u64,
    },
    /// The runtime's memory before and after.
    MemoryRise {
        before: u64,
        after: u64,
    },
    Disk {
        read_bytes_per_s: Option<f64>,
        pressure: Option<f64>,
    },
    /// Share of the model that is on the GPU.
    OnGpu {
        share: f64,
    },
    /// Another call to the runtime at the same time.
    OtherCall {
        trace_id: TraceId,
        model: Option<String>,
    },
    /// The kernel ended so many processes for want of memory.
    OomKills {
        count: u64,
    },
    /// What the runtime left out of the prompt, and the context that would do.
    Cut {
        tokens: u64,
        limit: u64,
        enough: u64,
    },
    /// Memory that nobody uses, and what the model needs.
    Room {
        free: u64,
        model: u64,
    },
    /// When evidence of the machine is from, for the curves.
    When {
        from_ns: UnixNanos,
        to_ns: UnixNanos,
    },
}

impl Diagnosis {
    pub fn none() -> Self {
        Self { cause: Cause::None, confidence: 1.0, findings: Vec::new() }
    }

    /// What the span's own attribute says; `None` where it says nothing that can be read.
    pub fn of(span: &Span) -> Option<Self> {
        let AttributeValue::Text(text) = span.attributes.get(ATTRIBUTE)? else { return None };
        serde_json::from_str(text).ok()
    }

    /// Puts it onto the span: the cause as its column, and the rest beside it.
    pub(crate) fn put(&self, span: &mut Span) {
        span.cause = Some(self.cause);
        span.attributes.remove(ATTRIBUTE);
        if self.findings.is_empty() {
            return;
        }
        if let Ok(text) = serde_json::to_string(self) {
            span.attributes.set(ATTRIBUTE, text);
        }
    }
}

impl Finding {
    pub(crate) fn new(cause: Cause, phase: impl Into<Option<Phase>>, ns: u64) -> Self {
        Self { cause, phase: phase.into(), ns, facts: Vec::new() }
    }

    pub(crate) fn with(mut self, facts: impl IntoIterator<Item = Fact>) -> Self {
        self.facts.extend(facts);
        self
    }
}
