//! Where captured calls go: the runtime that Andon found or was told of.

use std::sync::Arc;

use http::{HeaderValue, uri::Authority};
use tokio::sync::watch;

use crate::runtime::{RuntimeInfo, RuntimeState, RuntimeTarget};

/// The address that calls are passed on to, and who was last seen there.
pub(super) struct Known {
    pub(super) authority: Authority,
    /// The same as a header's value.
    pub(super) host: HeaderValue,
    /// `None` until the runtime has said who it is.
    pub(super) info: Option<RuntimeInfo>,
}

impl Known {
    fn new(authority: &str, info: Option<RuntimeInfo>) -> Option<Arc<Self>> {
        let host = HeaderValue::from_str(authority).ok()?;
        Some(Arc::new(Self { authority: authority.parse().ok()?, host, info }))
    }
}

/// Follows the runtime. An address once known stays: a runtime that is too busy to say who it is
/// must still be passed its calls.
#[derive(Clone)]
pub(super) struct Upstream {
    known: watch::Receiver<Option<Arc<Known>>>,
    target: RuntimeTarget,
}

impl Upstream {
    /// `told`: the address (`host:port`) that was configured, so that nobody waits for it to be
    /// recognised.
    pub(super) fn follow(target: RuntimeTarget, told: Option<&str>) -> Self {
        let (sender, known) = watch::channel(told.and_then(|told| Known::new(told, None)));
        let mut states = target.subscribe();
        tokio::spawn(async move {
            loop {
                let info = states.borrow_and_update().ready.clone();
                if let Some(info) = info {
                    sender.send_replace(Known::new(&info.authority.clone(), Some(info)));
                }
                tokio::select! {
                    changed = states.changed() => if changed.is_err() { return },
                    () = sender.closed() => return,
                }
            }
        });
        Self { known, target }
    }

    /// The address, if there is one.
    pub(super) fn known(&self) -> Option<Arc<Known>> {
        self.known.borrow().clone()
    }

    /// The address, waiting for a runtime that is starting for the first time. The error says why
    /// there is none.
    pub(super) async fn ready(&self) -> Result<Arc<Known>, String> {
        let (mut known, mut states) = (self.known.clone(), self.target.subscribe());
        loop {
            if let Some(known) = &*known.borrow_and_update() {
                return Ok(Arc::clone(known));
            }
            let state = states.borrow_and_update().clone();
            if !state.starting && state.ready.is_none() {
                return Err(reason(state));
            }
            tokio::select! {
                _ = known.changed() => {}
                changed = states.changed() => if changed.is_err() { return Err(reason(state)) },
            }
        }
    }
}

fn reason(state: RuntimeState) -> String {
    state.reason.unwrap_or_else(|| "no runtime answers".to_owned())
}
