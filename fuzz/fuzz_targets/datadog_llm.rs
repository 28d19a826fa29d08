//! What is said of calls of models in several requests: Datadog's traces, spans of LLM Observability and
//! evaluations, which are put together in memory. The first byte picks what is kept of texts. The rest is requests with [`BETWEEN`] between them, each a byte for its door and a body.

#![no_main]

use andon_fuzz::{Choices, Receiver, check, datadog_request, split, twice};
use andon_receive::BodyLimits;
use libfuzzer_sys::fuzz_target;

/// No text and no JSON has these bytes.
const BETWEEN: [u8; 2] = [0xff, 0xfe];
const MOST_REQUESTS: usize = 6;

fuzz_target!(|input: &[u8]| {
    let Some((mut choices, rest)) = Choices::of(input) else { return };
    let policy = choices.policy();
    twice(policy, BodyLimits::default(), |receiver| {
        let requests = split(rest, &BETWEEN).take(MOST_REQUESTS);
        // What is remembered may be told again with each request.
        requests.map(|request| send(receiver, request)).sum::<usize>() * MOST_REQUESTS
    });
});

fn send(receiver: &Receiver, request: &[u8]) -> usize {
    let Some((mut choices, body)) = Choices::of(request) else { return 0 };
    let proxied = "/evp_proxy/v2/api";
    let (path, form, expected): (String, &str, &[u16]) = match choices.one(&[0, 1, 2, 3]) {
        0 => (format!("{proxied}/v2/llmobs"), "application/json", &[202, 400, 413]),
        1 => {
            let path = format!("{proxied}/intake/llm-obs/v2/eval-metric");
            (path, "application/json", &[202, 400, 413, 422])
        }
        2 => ("/v0.4/traces".to_owned(), "application/msgpack", &[200, 400, 413]),
        _ => ("/v0.4/traces".to_owned(), "application/json", &[200, 400, 413]),
    };
    check::json(&receiver.datadog(datadog_request(&path, form, body)), expected);
    body.len()
}
