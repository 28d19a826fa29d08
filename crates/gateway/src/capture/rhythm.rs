//! How evenly an answer's pieces came, as the caller saw it.

/// Times of the pieces that held text, in nanoseconds since the call began.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    first: Option<u64>,
    last: Option<u64>,
    gaps: Vec<u64>,
}

impl Rhythm {
    pub(super) fn piece(&mut self, at_ns: u64) {
        if let Some(last) = self.last {
            self.gaps.push(at_ns.saturating_sub(last));
        }
        self.first.get_or_insert(at_ns);
        self.last = Some(at_ns);
    }

    pub(super) fn first_ns(&self) -> Option<u64> {
        self.first
    }

    /// From the first piece to the last.
    pub(super) fn spread_ns(&self) -> Option<u64> {
        Some(self.last?.saturating_sub(self.first?)).filter(|_| !self.gaps.is_empty())
    }

    pub(super) fn longest_gap_ns(&self) -> Option<u64> {
        self.gaps.iter().copied().max()
    }

    /// The gap that 95 of 100 do not exceed (nearest rank).
    pub(super) fn p95_gap_ns(&self) -> Option<u64> {
        let mut gaps = self.gaps.clone();
        let rank = (gaps.len() * 95).div_ceil(100).checked_sub(1)?;
        Some(*gaps.select_nth_unstable(rank).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_measured_between_pieces() {
        let mut rhythm = Rhythm::default();
        assert_eq!((rhythm.p95_gap_ns(), rhythm.spread_ns()), (None, None));
        for at in (0..=100).map(|step| 50 + step * 10).chain([2_000]) {
            rhythm.piece(at);
        }
        assert_eq!(rhythm.first_ns(), Some(50));
        assert_eq!(rhythm.longest_gap_ns(), Some(950));
        assert_eq!((rhythm.p95_gap_ns(), rhythm.spread_ns()), (Some(10), Some(1_950)));
    }
}
