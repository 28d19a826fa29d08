//! Bit streams, most significant bit first, with the three codes that the pages use.

/// Zero bytes that must follow the payload, so that a reader can always load eight bytes.
pub(crate) const PADDING: usize = 8;

/// The stream ended inside a number, or a number does not fit 32 bits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadBits;

#[derive(Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// Appends the low `count` bits of `value`; `count` is at most 32.
    pub(crate) fn bits(&mut self, value: u32, count: u32) {
        let mask = (1u64 << count) - 1;
        self.pending = (self.pending << count) | (u64::from(value) & mask);
        self.pending_bits += count;
        while self.pending_bits >= 8 {
            self.pending_bits -= 8;
            self.bytes.push((self.pending >> self.pending_bits) as u8);
        }
    }

    pub(crate) fn unary(&mut self, mut zeros: u32) {
        while zeros >= 32 {
            self.bits(0, 32);
            zeros -= 32;
        }
        self.bits(1, zeros + 1);
    }

    /// Elias gamma; `value` is at least 1.
    pub(crate) fn gamma(&mut self, value: u32) {
        let below = value.max(1).ilog2();
        self.unary(below);
        self.bits(value, below);
    }

    /// For distances of keys, mostly below 100 but up to anything: 3 bits, 6, 9, up to 32. Takes a
    /// fifth less than Elias gamma there. `value` is at least 1.
    pub(crate) fn stepped(&mut self, value: u32) {
        let mut rest = u64::from(value.max(1)) - 1;
        let mut step = 0;
        while rest >= 1 << step_width(step) {
            rest -= 1 << step_width(step);
            step += 1;
        }
        self.unary(step);
        self.bits(rest as u32, step_width(step));
    }

    pub(crate) fn rice(&mut self, value: u32, parameter: u32) {
        self.unary(value >> parameter);
        self.bits(value, parameter);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Fills the last byte with zeros, hands out the bytes and starts again.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        if self.pending_bits > 0 {
            self.bits(0, 8 - self.pending_bits);
        }
        std::mem::take(&mut self.bytes)
    }
}

const LAST_STEP: u32 = 10;

fn step_width(step: u32) -> u32 {
    (3 * (step + 1)).min(32)
}

pub(crate) struct BitReader<'a> {
    padded: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> BitReader<'a> {
    /// `padded` is the payload and [`PADDING`] bytes after it.
    pub(crate) fn new(padded: &'a [u8]) -> Self {
        Self { padded, position: 0, end: padded.len().saturating_sub(PADDING) * 8 }
    }

    /// The next 57 bits or more, left-aligned.
    fn window(&self) -> Result<u64, BadBits> {
        let byte = self.position / 8;
        let eight = self.padded.get(byte..byte + 8).and_then(|slice| slice.try_into().ok());
        let word = u64::from_be_bytes(eight.ok_or(BadBits)?);
        Ok(word << (self.position % 8))
    }

    fn advance(&mut self, bits: u32) -> Result<(), BadBits> {
        self.position += bits as usize;
        if self.position <= self.end { Ok(()) } else { Err(BadBits) }
    }

    /// `count` is at most 32.
    pub(crate) fn bits(&mut self, count: u32) -> Result<u32, BadBits> {
        if count == 0 {
            return Ok(0);
        }
        let value = self.window()? >> (64 - count);
        self.advance(count)?;
        Ok(value as u32)
    }

    pub(crate) fn unary(&mut self) -> Result<u32, BadBits> {
        let mut zeros = 0;
        loop {
            let run = self.window()?.leading_zeros();
            // A window holds 57 real bits; zeros beyond them were shifted in.
            if run < 57 {
                self.advance(run + 1)?;
                return Ok(zeros + run);
            }
            self.advance(56)?;
            zeros += 56;
        }
    }

    pub(crate) fn gamma(&mut self) -> Result<u32, BadBits> {
        let below = self.unary()?;
        if below > 31 {
            return Err(BadBits);
        }
        let low = self.bits(below)?;
        Ok((1u32 << below) | low)
    }

    pub(crate) fn stepped(&mut self) -> Result<u32, BadBits> {
        let step = self.unary()?;
        if step > LAST_STEP {
            return Err(BadBits);
        }
        let below: u64 = (0..step).map(|step| 1u64 << step_width(step)).sum();
        let value = below + u64::from(self.bits(step_width(step))?) + 1;
        u32::try_from(value).map_err(|_| BadBits)
    }

    /// `parameter` is below 32.
    pub(crate) fn rice(&mut self, parameter: u32) -> Result<u32, BadBits> {
        let high = self.unary()?;
        let low = self.bits(parameter)?;
        let high = u32::try_from(u64::from(high) << parameter).map_err(|_| BadBits)?;
        Ok(high | low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.extend_from_slice(&[0; PADDING]);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let values = [1, 2, 3, 8, 9, 72, 73, 1000, 1 << 30, u32::MAX - 1, u32::MAX];
        let mut writer = BitWriter::default();
        for value in values {
            writer.gamma(value);
            writer.stepped(value);
            writer.bits(value, 32);
            writer.rice(value % 4096, 4);
        }
        writer.unary(300);
        let bytes = padded(writer.take());
        let mut reader = BitReader::new(&bytes);
        for value in values {
            assert_eq!(reader.gamma(), Ok(value));
            assert_eq!(reader.stepped(), Ok(value));
            assert_eq!(reader.bits(32), Ok(value));
            assert_eq!(reader.rice(4), Ok(value % 4096));
        }
        assert_eq!(reader.unary(), Ok(300));
    }

    #[test]
    fn the_end_is_an_error() {
        let bytes = padded(vec![0; 9]);
        assert_eq!(BitReader::new(&bytes).unary(), Err(BadBits));
        assert_eq!(BitReader::new(&bytes).gamma(), Err(BadBits));
        assert_eq!(BitReader::new(&[]).bits(1), Err(BadBits));
        let mut reader = BitReader::new(&bytes);
        for _ in 0..9 {
            assert_eq!(reader.bits(8), Ok(0));
        }
        assert_eq!(reader.bits(1), Err(BadBits));
    }
}
