//! Datadog's traces. The first byte picks the endpoint, the form and what is kept of texts; the rest is the body.

#![no_main]

use andon_fuzz::{Choices, check, datadog_request, twice};
use andon_receive::BodyLimits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((mut choices, body)) = Choices::of(input) else { return };
    let path = choices.one(&["/v0.4/traces", "/v0.5/traces", "/v0.3/traces"]);
    // Without a type it is told by how it begins.
    let form = choices.one(&["application/msgpack", "application/json", ""]);
    twice(choices.policy(), BodyLimits::default(), |receiver| {
        let answer = receiver.datadog(datadog_request(path, form, body));
        check::json(&answer, &[200, 400, 413]);
        body.len()
    });
});
