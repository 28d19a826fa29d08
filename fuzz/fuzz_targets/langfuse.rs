//! Langfuse's batches of events, of which several make one span, its scores, and images that would be
//! uploaded. The first byte picks what is kept of texts. The rest is requests with [`BETWEEN`] between them,
//! each a byte for its door and a body.

#![no_main]

use andon_fuzz::{Choices, Pieces, Receiver, check, otlp_request, split, twice};
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
    let (path, expected): (&str, &[u16]) = choices.one(&[
        ("/api/public/ingestion", &[207, 400, 413]),
        ("/api/public/scores", &[200, 400, 413]),
        ("/api/public/media", &[201, 400, 413]),
    ]);
    let request = otlp_request(path, "application/json", Pieces::one(body));
    check::json(&receiver.otlp(request), expected);
    body.len()
}
