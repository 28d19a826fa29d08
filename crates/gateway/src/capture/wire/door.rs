//! Who may come in. Asked for each call, before anything of it is kept or passed on.

use std::{future::Future, pin::Pin};

use http::StatusCode;

/// A door in front of the capture.
pub trait Door: Send + Sync {
    /// `header` gives the value of the first header of that name, in lower case.
    fn admit<'h>(&self, header: &dyn Fn(&str) -> Option<&'h [u8]>) -> Result<Admitted, Denied>;

    /// Waited for before a wrong key is told so.
    fn wrong_key(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A call that may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Its key was the door's, and no business of the runtime.
    pub strips_key: bool,
}

/// Why a call may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: &'static str,
    /// It came with a wrong key.
    pub is_guess: bool,
}
