//! Random numbers that are the same on every machine and in every version of Andon.
//!
//! Own lines, because crates of random numbers may change what a seed gives from one version to the
//! next, and whole numbers throughout, because logarithms and powers of floats may differ in their
//! last bit from one platform to the next.
//!
//! Sources: xoshiro256++ and splitmix64 by D. Blackman and S. Vigna, <https://prng.di.unimi.it>,
//! in the public domain.

/// A stream of random numbers (xoshiro256++).
pub(crate) struct Random {
    state: [u64; 4],
}

/// Scatters a number: what is near goes far apart (splitmix64's last steps).
pub(crate) fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Random {
    /// Streams of the same seed have nothing in common.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut counter = scatter(seed) ^ scatter(!stream);
        let state = std::array::from_fn(|_| {
            counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
            scatter(counter)
        });
        Self { state }
    }

    pub(crate) fn next(&mut self) -> u64 {
        let state = &mut self.state;
        let result = state[0].wrapping_add(state[3]).rotate_left(23).wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        result
    }

    /// From 0 to `bound` - 1; 0 where `bound` is 0. Without rejection: the bias is below 2^-32 for
    /// every bound that is used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// From `low` to `high`, both of them included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub(crate) fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// One of `choices`, which is a table of this crate and never empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A place in a table whose rows have these weights.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum());
        for (place, weight) in weights.enumerate() {
            if left < weight {
                return place;
            }
            left -= weight;
        }
        0
    }

    /// Log-normal: half of the draws lie below `median`, and two of three within `spread` hundredths
    /// of a doubling from it. 100: between half and twice the median.
    pub(crate) fn log_normal(&mut self, median: u64, spread: u64) -> u64 {
        let doublings = self.normal() * spread as i64 / 100;
        times_power_of_two(median, doublings)
    }

    /// Nearly normal with standard deviation 1, in 65,536ths: the sum of four uniform numbers, whose
    /// own deviation is 37,837. It never lies beyond 3.5.
    fn normal(&mut self) -> i64 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as i64 - 131_070) * 65_536 / 37_837
    }

    /// `digits` lower-case hex digits, at most 16.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bits = self.next();
        let digit = |place| char::from(DIGITS[(bits >> (4 * place)) as usize & 15]);
        let mut text = String::with_capacity(digits);
        text.extend((0..digits.min(16)).map(digit));
        text
    }
}

/// `value * 2^exponent`, the exponent in 65,536ths. Between whole powers a parabola that is off by
/// a quarter of a per cent at most.
fn times_power_of_two(value: u64, exponent: i64) -> u64 {
    let fraction = exponent & 0xffff;
    let mantissa = 65_536 + ((fraction * (43_017 + ((22_519 * fraction) >> 16))) >> 16);
    let shift = (16 - (exponent >> 16)).clamp(0, 100);
    ((u128::from(value) * mantissa as u128) >> shift) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_its_authors_numbers() {
        // First numbers of the reference implementation in C for this state.
        let mut random = Random { state: [1, 2, 3, 4] };
        let numbers: Vec<u64> = (0..3).map(|_| random.next()).collect();
        assert_eq!(numbers, [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn powers_of_two_are_right_to_half_a_per_cent() {
        for exponent in (-6 * 65_536..6 * 65_536).step_by(977) {
            let exact = 1e9 * (exponent as f64 / 65_536.0).exp2();
            let got = times_power_of_two(1_000_000_000, exponent) as f64;
            assert!((got / exact - 1.0).abs() < 0.005, "{exponent}: {got} for {exact}");
        }
    }

    #[test]
    fn half_of_log_normal_draws_lie_below_the_median_and_two_thirds_near_it() {
        let mut random = Random::new(1, 1);
        let draws: Vec<u64> = (0..20_000).map(|_| random.log_normal(1_000_000, 100)).collect();
        let below = draws.iter().filter(|draw| **draw < 1_000_000).count();
        let near = draws.iter().filter(|draw| (500_000..2_000_000).contains(*draw)).count();
        assert!((9_700..10_300).contains(&below), "{below}");
        assert!((13_000..14_200).contains(&near), "{near}");
    }
}
