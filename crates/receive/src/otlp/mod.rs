//! OTLP, as gRPC and as HTTP with protobuf or JSON. One service speaks both, told apart by the content
//! type, so that either port takes either.
//!
//! Source: the OTLP specification 1.x (`docs/specification.md` in opentelemetry-proto).

mod export;
mod grpc;
mod http;
mod logs;
mod machines;
mod metrics;
mod traces;
mod wire;

use std::{error::Error, fmt::Display};

use ::http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use bytes::Bytes;

pub use self::http::Origins;
pub(crate) use self::{logs::Places, machines::Machines};
use crate::{intake::Intake, langfuse};

/// The answers to a receiver's requests.
pub type Body = tonic::body::Body;

/// The body of a request, from a connection or from a test.
pub trait RequestBody:
    hyper::body::Body<Data = Bytes, Error: Into<BoxError> + Display> + Send + Unpin + 'static
{
}

impl<B> RequestBody for B where
    B: hyper::body::Body<Data = Bytes, Error: Into<BoxError> + Display> + Send + Unpin + 'static
{
}

type BoxError = Box<dyn Error + Send + Sync>;

/// What one port of OTLP does.
#[derive(Clone)]
pub struct Otlp {
    intake: Intake,
    origins: Origins,
}

impl Otlp {
    /// `origins`: web pages that may send.
    pub fn new(intake: Intake, origins: Origins) -> Self {
        Self { intake, origins }
    }

    /// What gRPC says where somebody may not come in.
    pub fn refusal(status: StatusCode, message: &str) -> Response<Body> {
        let status = match status {
            StatusCode::UNAUTHORIZED => tonic::Status::unauthenticated(message),
            _ => tonic::Status::permission_denied(message),
        };
        status.into_http()
    }

    pub async fn answer<B: RequestBody>(self, request: Request<B>) -> Response<Body> {
        let content_type = request.headers().get(CONTENT_TYPE);
        let is_grpc =
            content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if is_grpc {
            grpc::answer(self.intake, request).await
        } else if let Some(route) = langfuse::Route::of(request.uri().path()) {
            langfuse::answer(&self.intake, route, request).await
        } else {
            http::answer(self.intake, &self.origins, request).await
        }
    }
}
