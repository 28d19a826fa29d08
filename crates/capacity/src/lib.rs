//! How much a machine can do, from the calls that it answered: how fast each model was and how fast it
//! could be at most, what would change with another setting, and for how many people it is enough.
//!
//! [`Served`] is a call as far as its time goes; everything else is made of a list of these. [`pace`]
//! learns what a model takes, [`simulate`] lets calls arrive once more at a runtime that is set in
//! another way, and [`check`] says how far such a simulation was off on calls that it had not seen.
//!
//! What a newcomer gets wrong: a simulation is no measurement. Each answer carries how many calls it
//! rests on and what was assumed, and says that there is not enough where there is not.

mod beside;
mod bound;
mod cells;
mod check;
mod curve;
mod figures;
mod keep;
mod pace;
mod people;
mod served;
mod simulate;
mod what_if;

pub use bound::{Bound, Measured, Roof, bound};
pub use cells::{CacheState, Cell, cells, read_per_s, written_per_s};
pub use check::Check;
pub use curve::{CurvePoint, curve};
pub use figures::Spread;
pub use people::{People, PeoplePoint, PeopleQuestion, ThinkTime, people};
pub use served::Served;
pub use what_if::{Fared, Lack, Setting, WhatIf, what_if};
