//! Bodies that are packed, and may be bombs. The first byte picks the packing, the form and what is kept
//! of texts; the second where the body is cut in two. The limits are tight, so that what is beyond them
//! is met often.

#![no_main]

use andon_fuzz::{Choices, Pieces, check, otlp_request, twice};
use andon_receive::BodyLimits;
use http::{HeaderValue, header::CONTENT_ENCODING};
use libfuzzer_sys::fuzz_target;

const MOST: usize = 64 << 10;

static LARGEST: [u8; MOST] = [0; MOST];

fuzz_target!(|input: &[u8]| {
    let Some((mut choices, rest)) = Choices::of(input) else { return };
    let Some((cut, body)) = rest.split_first() else { return };
    let encoding = choices.one(&["gzip", "deflate", "zstd", "identity"]);
    let form = choices.one(&["application/x-protobuf", "application/json"]);
    let policy = choices.policy();
    // There is room for what is packed and unpacked, or only for one that is as large as may be.
    let max_held_bytes = choices.one(&[4 * MOST, MOST]);
    let limits = BodyLimits { max_body_bytes: MOST, max_held_bytes, ..BodyLimits::default() };
    let expected: &[u16] =
        if max_held_bytes == MOST { &[200, 400, 413, 429] } else { &[200, 400, 413] };
    twice(policy, limits, |receiver| {
        let mut request = otlp_request("/v1/traces", form, Pieces::two(body, *cut));
        request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        let answer = receiver.otlp(request);
        check::otlp(receiver, form, &answer, expected);
        // Whatever came of it, its room was given back.
        receiver.assert_room(&LARGEST, form);
        MOST
    });
});
