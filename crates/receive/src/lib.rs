//! Telemetry of other programs, received in the protocols that they speak already, and put into the
//! words of `andon-model`. Nothing is protected or stored here: whoever starts a receiver gives it a
//! [`Keep`], which does both and says when it is done.
//!
//! What a newcomer gets wrong: which convention a span follows is said by each of its attributes, and
//! not by the library that sent it. One trace mixes several, and so does one span.

mod body;
mod counted;
pub mod datadog;
pub mod dogstatsd;
mod intake;
mod langfuse;
mod normalise;
pub mod otlp;
mod sampling;
mod value;

pub use body::BodyLimits;
pub use counted::{COUNTED_IN, CountedCalls};
pub use intake::{Batch, Intake, IntakeCounts, Keep, Protocol, Reason, Refused, Rejected};
pub use sampling::SamplingRules;
