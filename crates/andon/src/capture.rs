//! The capture listener: the door in front of the pass-through.

use std::{convert::Infallible, future::Future, pin::Pin};

use andon_api::Access;
use andon_gateway::{Capture, CaptureBody, CaptureConfig};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};

use crate::config::{Config, RuntimeChoice};

pub(crate) fn config(config: &Config, host: Option<String>) -> CaptureConfig {
    let runtime = match &config.runtime {
        RuntimeChoice::At(authority) => Some(authority.clone()),
        RuntimeChoice::Auto | RuntimeChoice::Builtin => None,
    };
    CaptureConfig { host, runtime, ..CaptureConfig::default() }
}

/// The password is asked for only where other machines can reach the port.
pub(crate) fn access(config: &Config) -> Access {
    let beyond = config.capture_listen.is_some_and(|address| !address.ip().is_loopback());
    crate::up::access(config, beyond)
}

type Answered = Pin<Box<dyn Future<Output = Result<Response<CaptureBody>, Infallible>> + Send>>;

/// Whoever may come in is passed on; all others are told why not, in the form of the called API.
pub(crate) fn service(
    capture: Capture,
    access: Access,
) -> impl Service<
    Request<Incoming>,
    Response = Response<CaptureBody>,
    Error = Infallible,
    Future = Answered,
> + Clone
+ Send {
    service_fn(move |mut request| -> Answered {
        let (capture, access) = (capture.clone(), access.clone());
        // Boxed once, for the future is large and hyper moves it about.
        Box::pin(async move {
            Ok(match access.admit_program(&mut request).await {
                Ok(()) => capture.pass(request).await,
                Err(no) => capture.deny(&request, no.status, no.code, no.message),
            })
        })
    })
}
