//! Why a call to a model was slow, or failed: what its time went to, compared with what is usual for
//! that model on that machine, and what happened around it.
//!
//! [`Diagnoser`] hears of everything in the order in which it happens: samples of the machine, and
//! calls as they end. Of each call it says a [`Diagnosis`] and learns from it what is usual. What was
//! found travels with the span, so that the answer stays the same when the machine's samples are gone;
//! [`explain`] puts it into the words of a language, for a whole trace.
//!
//! A cause is a number of nanoseconds that the call would not have taken without it. The main cause is
//! the one with most of them, if that is a good part of the call; a call whose time is all as usual has
//! the cause `none`.
//!
//! What a newcomer gets wrong: nothing here guesses from one number alone. «The CPU was busy» is no
//! cause unless tokens took longer than they usually do, and «slow» is no cause without evidence.

mod call;
mod clocks;
mod departures;
mod diagnoser;
mod diagnosis;
mod explain;
mod failure;
mod judge;
mod loads;
mod machine;
mod machines;
mod now;
mod past;
mod speed;
mod usual;
mod words;

pub use call::Call;
pub use clocks::{ClockShift, clock_shifts};
pub use diagnoser::{BetweenLooks, Diagnoser};
pub use diagnosis::{ATTRIBUTE, Diagnosis, Fact, Finding};
pub use explain::{Evidence, Explanation, FoundCause, Share, explain};
pub use machines::RunsOn;
pub use now::Waiting;
pub use past::KeepAlive;
pub use words::Language;
