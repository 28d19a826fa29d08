//! OTLP over gRPC. The first byte picks the signal, how messages are said to be packed and what is kept
//! of texts; the second where the body is cut in two. The rest is the body with its frames: one byte says
//! whether a message is packed, four how long it is.

#![no_main]

use andon_fuzz::{Choices, Pieces, check, twice};
use andon_receive::BodyLimits;
use http::Request;
use libfuzzer_sys::fuzz_target;

const SERVICES: [&str; 3] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
];

/// What a message may come to, unpacked.
const LIMITS: BodyLimits = BodyLimits {
    max_body_bytes: 256 << 10,
    max_held_bytes: 1 << 20,
    timeout: std::time::Duration::from_secs(30),
};

fuzz_target!(|input: &[u8]| {
    let Some((mut choices, rest)) = Choices::of(input) else { return };
    let Some((cut, body)) = rest.split_first() else { return };
    let service = choices.one(&SERVICES);
    let encoding = choices.one(&["", "gzip", "deflate", "zstd", "br"]);
    twice(choices.policy(), LIMITS, |receiver| {
        let mut request = Request::post(service).header("content-type", "application/grpc");
        if !encoding.is_empty() {
            request = request.header("grpc-encoding", encoding);
        }
        let Ok(request) = request.body(Pieces::two(body, *cut)) else { return 0 };
        let answer = receiver.otlp(request);
        // Well, no such message, too large, out of range, packed unknown, unreadable.
        check::grpc(receiver, &answer, &[0, 3, 8, 11, 12, 13]);
        if encoding.is_empty() { body.len() } else { LIMITS.max_body_bytes }
    });
});
