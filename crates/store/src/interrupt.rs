//! How a question is told that nobody waits for its answer any more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::StoreError;

/// A sign that the asker raises and the question looks at now and then. The default is never raised.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A guard that raises the sign when it is dropped.
    #[must_use]
    pub fn when_dropped(&self) -> RaiseOnDrop {
        RaiseOnDrop(self.clone())
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.is_raised() { Err(StoreError::Interrupted) } else { Ok(()) }
    }
}

/// Raises its [`Interrupt`] when it is dropped.
#[derive(Debug)]
pub struct RaiseOnDrop(Interrupt);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
