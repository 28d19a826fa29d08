//! The allocator, and the way back to the system of memory that nobody uses any more.
//!
//! mimalloc gives each thread a heap of its own, and looks for pages to give back when that thread
//! allocates or frees. One that has been through a flood and waits now does neither: it would keep
//! what the flood took for as long as it waits.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// For `#[global_allocator]`. glibc's gives threads a heap that grows a page at a time, each time
/// stopping the others.
pub use mimalloc::MiMalloc as Allocator;

mod c {
    #![allow(unsafe_code)]
    // SAFETY: `void mi_collect(bool force)` of mimalloc.h, in the library that `mimalloc` links. It may be
    // called on every thread at any time; on one that never allocated it does nothing.
    unsafe extern "C" {
        pub(super) safe fn mi_collect(force: bool);
    }
}

/// How long a thread may keep what it does not use. Looking for it takes up to a millisecond or two, and what
/// was given back is filled with zeros again when it is asked for.
const KEPT: Duration = Duration::from_secs(2);

thread_local! {
    static GIVEN_BACK: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Gives back what this thread's heap has and does not use: for a thread that has done a piece of work and
/// has no more of it.
pub fn give_back() {
    GIVEN_BACK.set(Some(Instant::now()));
    c::mi_collect(true);
}

/// The same where it was not done within the last two seconds: for a thread that is about to wait, for
/// however short a time.
pub fn give_back_at_times() {
    let now = Instant::now();
    let is_due = GIVEN_BACK.get().is_none_or(|at| now.duration_since(at) >= KEPT);
    if is_due {
        give_back();
    }
}
