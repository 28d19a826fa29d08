//! How calls to models fail, by the names that the gateway has for it.

use andon_model::Cause;

use crate::random::Random;

/// One way to fail.
pub(crate) struct Failure {
    pub(crate) error_type: &'static str,
    pub(crate) status: u16,
    pub(crate) cause: Cause,
    pub(crate) messages: &'static [&'static str],
    pub(crate) end: End,
    /// Of ten thousand calls, when all is well and in an incident.
    odds: [u64; 2],
}

/// When such a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It never began; a refusal takes about so many nanoseconds.
    Refused(u64),
    /// While the model was loaded.
    Loading,
    /// Anywhere on its way.
    Midway,
    /// When the caller's patience was at its end.
    Patience,
}

const MS: u64 = 1_000_000;

pub(crate) const TIMEOUT: Failure = Failure {
    error_type: "timeout",
    status: 504,
    cause: Cause::Timeout,
    messages: &[
        "no answer within the time limit",
        "the runtime did not finish its answer within the time limit",
    ],
    end: End::Patience,
    odds: [12, 2_600],
};

pub(crate) const CONTEXT_EXCEEDED: Failure = Failure {
    error_type: "context_exceeded",
    status: 400,
    cause: Cause::ContextExceeded,
    messages: &[
        "the request exceeds the available context size, try increasing it",
        "this model's maximum context length is exceeded by the prompt",
    ],
    end: End::Refused(6 * MS),
    odds: [0, 0],
};

const FAILURES: [Failure; 8] = [
    TIMEOUT,
    Failure {
        error_type: "client_gone",
        status: 499,
        cause: Cause::ClientGone,
        messages: &[
            "the client closed the connection; the generation was cancelled",
            "the client closed the connection before the answer was complete",
        ],
        end: End::Midway,
        odds: [70, 700],
    },
    Failure {
        error_type: "queue_full",
        status: 503,
        cause: Cause::QueueFull,
        messages: &[
            "the queue is full: 4 requests run and 16 wait; try again later",
            "the queue is full: 2 requests run and 32 wait; try again later",
        ],
        end: End::Refused(MS),
        odds: [8, 500],
    },
    Failure {
        error_type: "runtime_down",
        status: 500,
        cause: Cause::RuntimeDown,
        messages: &[
            "the runtime is not there: connection refused",
            "the runtime is not there: connection reset by peer",
            "the runtime is not there: no route to host",
        ],
        end: End::Refused(2 * MS),
        odds: [9, 900],
    },
    Failure {
        error_type: "stream_broken",
        status: 500,
        cause: Cause::RuntimeDown,
        messages: &["the answer broke off: unexpected end of file during chunk size line"],
        end: End::Midway,
        odds: [6, 200],
    },
    Failure {
        error_type: "out_of_memory",
        status: 500,
        cause: Cause::OutOfMemory,
        messages: &[
            "model requires more system memory (11.4 GiB) than is available (7.9 GiB)",
            "CUDA error: out of memory",
            "failed to allocate buffer for kv cache",
        ],
        end: End::Loading,
        odds: [7, 150],
    },
    Failure {
        error_type: "model_missing",
        status: 500,
        cause: Cause::ModelMissing,
        messages: &["the model was not found, try pulling it first"],
        end: End::Refused(4 * MS),
        odds: [9, 9],
    },
    Failure {
        error_type: "runtime_failed",
        status: 500,
        cause: Cause::Unknown,
        messages: &["llama runner process has terminated: exit status 2", "status 500"],
        end: End::Midway,
        odds: [5, 120],
    },
];

impl Failure {
    /// Whether a call fails, and how.
    pub(crate) fn draw(random: &mut Random, incident: bool) -> Option<&'static Self> {
        let mut drawn = random.below(10_000);
        for failure in &FAILURES {
            let odds = failure.odds[usize::from(incident)];
            if drawn < odds {
                return Some(failure);
            }
            drawn -= odds;
        }
        None
    }
}
