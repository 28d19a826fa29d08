//! OTLP over HTTP, in protobuf. The first byte picks the signal and what is kept of texts; the rest is the body.

#![no_main]

use andon_fuzz::{Choices, Pieces, check, otlp_request, twice};
use andon_receive::BodyLimits;
use libfuzzer_sys::fuzz_target;

const FORM: &str = "application/x-protobuf";

fuzz_target!(|input: &[u8]| {
    let Some((mut choices, body)) = Choices::of(input) else { return };
    let path = choices.one(&["/v1/traces", "/v1/metrics", "/v1/logs"]);
    twice(choices.policy(), BodyLimits::default(), |receiver| {
        let answer = receiver.otlp(otlp_request(path, FORM, Pieces::one(body)));
        check::otlp(receiver, FORM, &answer, &[200, 400]);
        body.len()
    });
});
