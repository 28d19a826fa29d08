//! OTLP over gRPC.

use std::{marker::PhantomData, pin::Pin};

use ::http::{Request, Response};
use bytes::Buf;
use prost::Message;
use tonic::{
    Code, Status,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder},
    metadata::MetadataMap,
    server::UnaryService,
};
use tonic_prost::ProstEncoder;

use super::{
    Body, RequestBody,
    export::{self, Export, Signal},
    wire::{
        self, ExportResponse, LogsRequest, MetricsRequest, RpcStatus, TracesRequest,
        prost_any::{Any, Duration, RetryInfo},
    },
};
use crate::intake::{Intake, Protocol, Reason, Refused};

const RETRY: Duration = Duration { seconds: 1 };

pub(super) async fn answer<B: RequestBody>(intake: Intake, request: Request<B>) -> Response<Body> {
    let signal = match request.uri().path() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
        path => {
            let message = format!("{} is not served", path.chars().take(100).collect::<String>());
            return Status::unimplemented(message).into_http();
        }
    };
    let request = request.map(Body::new);
    match signal {
        Signal::Traces => export::<TracesRequest>(intake, request, signal, Export::Traces).await,
        Signal::Metrics => export::<MetricsRequest>(intake, request, signal, Export::Metrics).await,
        Signal::Logs => export::<LogsRequest>(intake, request, signal, Export::Logs).await,
    }
}

async fn export<M>(
    intake: Intake,
    request: Request<Body>,
    signal: Signal,
    of: fn(M) -> Export,
) -> Response<Body>
where
    M: Message + Default + 'static,
{
    let most = intake.room.limits.max_body_bytes;
    let mut server = tonic::server::Grpc::new(Weighed::<M> { signal, of: PhantomData })
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(most);
    let counted = intake.clone();
    let response = server.unary(Exporter { intake, of }, request).await;
    // What could not be read never came to the exporter.
    if let Some(reason) = unread(&response) {
        counted.reject(Protocol::OtlpGrpc, reason, 1);
    }
    response
}

fn unread(response: &Response<Body>) -> Option<Reason> {
    let code = response.headers().get("grpc-status")?.to_str().ok()?.parse::<i32>().ok()?;
    match Code::from(code) {
        Code::OutOfRange | Code::ResourceExhausted => {
            let has_details = response.headers().contains_key("grpc-status-details-bin");
            (!has_details).then_some(Reason::TooLarge)
        }
        Code::Internal | Code::InvalidArgument => Some(Reason::Unreadable),
        Code::Unimplemented => Some(Reason::ContentEncoding),
        _ => None,
    }
}

/// Messages are weighed before they are read.
struct Weighed<M> {
    signal: Signal,
    of: PhantomData<M>,
}

impl<M: Message + Default + 'static> Codec for Weighed<M> {
    type Encode = ExportResponse;
    type Decode = M;
    type Encoder = ProstEncoder<ExportResponse>;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self {
        Self { signal: self.signal, of: PhantomData }
    }
}

impl<M: Message + Default + 'static> Decoder for Weighed<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        // The message in one piece, of which its texts are slices.
        let bytes = source.copy_to_bytes(source.remaining());
        wire::weigh(self.signal, &bytes)
            .map_err(|error| Status::resource_exhausted(error.to_string()))?;
        M::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

struct Exporter<M> {
    intake: Intake,
    of: fn(M) -> Export,
}

impl<M: Message + 'static> UnaryService<M> for Exporter<M> {
    type Response = ExportResponse;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<ExportResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<M>) -> Self::Future {
        let intake = self.intake.clone();
        let message = request.into_inner();
        intake.count_request(Protocol::OtlpGrpc, message.encoded_len());
        let export = (self.of)(message);
        Box::pin(async move {
            let kept = export::keep(&intake, Protocol::OtlpGrpc, export).await;
            kept.map(tonic::Response::new).map_err(|refused| status(&refused))
        })
    }
}

/// Clients try again only where the details say when.
fn status(refused: &Refused) -> Status {
    let code = match refused {
        Refused::Busy => Code::ResourceExhausted,
        Refused::Unavailable(_) => Code::Unavailable,
    };
    let retry = RetryInfo { retry_delay: Some(RETRY) };
    let message = refused.to_string();
    let details = RpcStatus {
        code: code as i32,
        message: message.clone(),
        details: vec![Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: retry.encode_to_vec(),
        }],
    };
    let details = details.encode_to_vec().into();
    Status::with_details_and_metadata(code, message, details, MetadataMap::new())
}
