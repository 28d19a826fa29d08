//! Durations by the hundred thousand in a few hundred bytes, from which any percentile comes out
//! with an error of at most 1 %: a DDSketch (Masson, Rim, Lee: «DDSketch: A Fast and
//! Fully-Mergeable Quantile Sketch with Relative-Error Guarantees», VLDB 2019).
//!
//! A value falls into the bin `ceil(log_γ(value))`, with γ = (1 + α) / (1 − α). Two sketches added
//! are the sketch of both their values, whatever the order, which is what makes rollups exact.

use std::sync::LazyLock;

/// The largest relative error, α.
const ERROR: f64 = 0.01;
const GAMMA: f64 = (1.0 + ERROR) / (1.0 - ERROR);
static PER_LN: LazyLock<f64> = LazyLock::new(|| 1.0 / GAMMA.ln());
/// The bin of the largest `u64` is below this.
const MOST_BINS: usize = 2_300;

/// How often values of which size occurred, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Values of 0.
    zeros: u64,
    /// The bin of the first of `counts`.
    first: usize,
    /// Of neighbouring bins; none but the first and the last is sure to be more than 0.
    counts: Vec<u64>,
}

impl Sketch {
    /// Adds a value that occurred so many times.
    pub(crate) fn add(&mut self, value: u64, times: u64) {
        let own = match bin_of(value) {
            None => &mut self.zeros,
            Some(bin) => self.bin(bin),
        };
        *own = own.saturating_add(times);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.zeros = self.zeros.saturating_add(other.zeros);
        let Some(last) = other.counts.len().checked_sub(1) else { return };
        self.bin(other.first);
        self.bin(other.first + last);
        let offset = other.first - self.first;
        for (own, count) in self.counts[offset..].iter_mut().zip(&other.counts) {
            *own = own.saturating_add(*count);
        }
    }

    #[inline]
    fn bin(&mut self, bin: usize) -> &mut u64 {
        let is_known = bin >= self.first && bin - self.first < self.counts.len();
        if !is_known {
            self.make_room(bin);
        }
        &mut self.counts[bin - self.first]
    }

    #[cold]
    fn make_room(&mut self, bin: usize) {
        if self.counts.is_empty() {
            self.first = bin;
        }
        if bin < self.first {
            let missing = self.first - bin;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = bin;
        }
        let place = bin - self.first;
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().fold(self.zeros, |sum, count| sum.saturating_add(*count))
    }

    /// Memory of its bins.
    pub(crate) fn weight(&self) -> usize {
        self.counts.capacity() * size_of::<u64>()
    }

    /// The value below or at which this share (0 to 1) of all lies; `None` without values.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        let count = self.count();
        // The nearest rank: of 100 values, the 95th in order is their 95 %.
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut below = self.zeros;
        if count == 0 || below >= rank {
            return (count > 0).then_some(0);
        }
        let place = self.counts.iter().position(|count| {
            below = below.saturating_add(*count);
            below >= rank
        })?;
        Some(middle_of(self.first + place))
    }

    /// Middle and number of each bin that has any, smallest first.
    pub(crate) fn bins(&self) -> impl Iterator<Item = (u64, u64)> {
        let zeros = (self.zeros > 0).then_some((0, self.zeros));
        let bins = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        zeros.into_iter().chain(bins.map(|(place, count)| (middle_of(self.first + place), *count)))
    }

    /// Variable-length whole numbers: zeros, then of each bin that has any its distance from the one
    /// before and its count.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        write_number(bytes, self.zeros);
        let mut before = 0;
        for (place, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let bin = self.first + place;
            write_number(bytes, (bin - before) as u64);
            write_number(bytes, *count);
            before = bin;
        }
    }

    /// `None` when these bytes are no sketch.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut sketch = Self::default();
        sketch.merge_written(bytes)?;
        Some(sketch)
    }

    /// Adds a sketch as it is written, without making one of it first: a month of rollups has
    /// hundreds of thousands. `None` where these bytes are no sketch; what comes before that is added.
    pub(crate) fn merge_written(&mut self, mut bytes: &[u8]) -> Option<()> {
        self.zeros = self.zeros.saturating_add(read_number(&mut bytes)?);
        let mut bin = 0_usize;
        while !bytes.is_empty() {
            bin = bin.checked_add(usize::try_from(read_number(&mut bytes)?).ok()?)?;
            let count = read_number(&mut bytes)?;
            if bin >= MOST_BINS {
                return None;
            }
            let own = self.bin(bin);
            *own = own.saturating_add(count);
        }
        Some(())
    }
}

fn bin_of(value: u64) -> Option<usize> {
    (value > 0).then(|| ((value as f64).ln() * *PER_LN).ceil() as usize)
}

/// As far, in proportion, from the smallest value of a bin as from its largest.
fn middle_of(bin: usize) -> u64 {
    static MIDDLES: LazyLock<Vec<u64>> = LazyLock::new(|| {
        let middle = |bin| (2.0 * GAMMA.powi(bin) / (GAMMA + 1.0)).round() as u64;
        (0..MOST_BINS as i32).map(middle).collect()
    });
    MIDDLES.get(bin).copied().unwrap_or(u64::MAX)
}

/// LEB128.
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    // Most are below 128.
    if let [byte @ 0..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Some(u64::from(*byte));
    }
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value, 1));
        sketch
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![Just(0), 1..1_000_u64, 1_000_000..60_000_000_000_u64, any::<u64>()];
        proptest::collection::vec(value, 0..200)
    }

    proptest! {
        #[test]
        fn a_percentile_is_off_by_one_per_cent_at_most(
            mut values in values(), share in 0.0..=1.0_f64,
        ) {
            let sketch = of(&values);
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).max(1);
            let exact = values.get(rank - 1).copied();
            match (exact, sketch.quantile(share)) {
                (Some(exact), Some(found)) => {
                    // Half a nanosecond is rounded away.
                    let error = (found as f64 - exact as f64).abs();
                    prop_assert!(error <= exact as f64 * ERROR * 1.000_001 + 0.5, "{exact} {found}");
                }
                (exact, found) => prop_assert_eq!(exact, found),
            }
        }

        #[test]
        fn added_ones_are_that_of_all_values(first in values(), second in values()) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            let all: Vec<_> = first.into_iter().chain(second).collect();
            prop_assert_eq!(merged, of(&all));
        }

        #[test]
        fn reads_back_what_it_wrote(values in values()) {
            let (sketch, mut bytes) = (of(&values), Vec::new());
            sketch.write(&mut bytes);
            prop_assert_eq!(Sketch::read(&bytes), Some(sketch));
        }

        #[test]
        fn garbage_is_no_sketch_or_a_bounded_one(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(sketch) = Sketch::read(&bytes) {
                prop_assert!(sketch.counts.len() <= MOST_BINS);
            }
        }
    }

    #[test]
    fn the_largest_number_has_a_bin() {
        assert!(bin_of(u64::MAX).unwrap() < MOST_BINS);
        assert_eq!(bin_of(1), Some(0));
        assert_eq!(of(&[0, 0, 5]).quantile(0.5), Some(0));
    }
}
