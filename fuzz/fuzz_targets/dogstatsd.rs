//! Lines of DogStatsD. The first byte picks what is kept of texts and how many datagrams the rest is.

#![no_main]

use andon_fuzz::{Choices, twice};
use andon_receive::{BodyLimits, Protocol};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((mut choices, lines)) = Choices::of(input) else { return };
    let policy = choices.policy();
    let datagrams = choices.one(&[1, 2, 3]);
    twice(policy, BodyLimits::default(), |receiver| {
        let size = lines.len().div_ceil(datagrams).max(1);
        lines.chunks(size).for_each(|datagram| receiver.datagram(datagram));
        receiver.flush();
        let counts = receiver.counts(Protocol::Dogstatsd);
        assert_eq!(counts.requests, lines.chunks(size).count() as u64);
        // Each line is a part of a point, or was rejected.
        let rejected: u64 = counts.rejected.iter().map(|of| of.count).sum();
        assert!(counts.metrics + rejected <= lines.len() as u64 + counts.requests);
        lines.len()
    });
});
