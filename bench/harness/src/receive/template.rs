//! A body that can be sent again and again with new ids and times: making one costs as much as reading
//! it, and the sender shares the machine's cores with what it measures.

use std::time::SystemTime;

/// Where in the bytes something changes from one sending to the next.
#[derive(Clone, Copy)]
enum Slot {
    /// Eight bytes of an id. All of one sending are changed by the same key, so that a parent stays a
    /// parent.
    Id(usize),
    /// Nanoseconds, little-endian.
    TimeLittle(usize),
    /// Nanoseconds, big-endian.
    TimeBig(usize),
}

/// A request, whole: head and body.
#[derive(Clone, Default)]
pub(crate) struct Template {
    pub(crate) bytes: Vec<u8>,
    slots: Vec<Slot>,
    time_ns: u64,
}

impl Template {
    /// `now_ns`: what the times in it are relative to.
    pub(crate) fn new(now_ns: u64) -> Self {
        Self { time_ns: now_ns, ..Self::default() }
    }

    pub(crate) fn id(&mut self, id: u64) {
        self.slots.push(Slot::Id(self.bytes.len()));
        self.bytes.extend(id.to_be_bytes());
    }

    pub(crate) fn time_little(&mut self, time_ns: u64) {
        self.slots.push(Slot::TimeLittle(self.bytes.len()));
        self.bytes.extend(time_ns.to_le_bytes());
    }

    pub(crate) fn time_big(&mut self, time_ns: u64) {
        self.slots.push(Slot::TimeBig(self.bytes.len()));
        self.bytes.extend(time_ns.to_be_bytes());
    }

    /// Takes in what was made apart, with its slots.
    pub(crate) fn append(&mut self, other: &Self) {
        let by = self.bytes.len();
        self.bytes.extend(&other.bytes);
        self.slots.extend(other.slots.iter().map(|slot| slot.moved(by)));
    }

    /// As a `POST`; headers are whole lines with their ends.
    pub(crate) fn request(self, authority: &str, path: &str, headers: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\n{headers}\r\n",
            self.bytes.len()
        );
        let mut request = Self::new(self.time_ns);
        request.bytes.extend(head.into_bytes());
        request.append(&self);
        request
    }

    /// New ids by `key`, which is not used twice, and times of now.
    pub(crate) fn renew(&mut self, key: u64) {
        let now = now_ns();
        let later = now.wrapping_sub(self.time_ns);
        self.time_ns = now;
        for slot in &self.slots {
            let at = match *slot {
                Slot::Id(at) | Slot::TimeLittle(at) | Slot::TimeBig(at) => at,
            };
            let Some(place) = self.bytes.get_mut(at..at + 8) else { continue };
            let mut bytes = [0; 8];
            bytes.copy_from_slice(place);
            let changed = match slot {
                Slot::Id(_) => (u64::from_be_bytes(bytes) ^ key).to_be_bytes(),
                Slot::TimeLittle(_) => u64::from_le_bytes(bytes).wrapping_add(later).to_le_bytes(),
                Slot::TimeBig(_) => u64::from_be_bytes(bytes).wrapping_add(later).to_be_bytes(),
            };
            place.copy_from_slice(&changed);
        }
    }
}

impl Slot {
    fn moved(self, by: usize) -> Self {
        match self {
            Self::Id(at) => Self::Id(at + by),
            Self::TimeLittle(at) => Self::TimeLittle(at + by),
            Self::TimeBig(at) => Self::TimeBig(at + by),
        }
    }
}

pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// SplitMix64 (Steele, Lea, Flood 2014): numbers that differ, the same in each run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap_or(0);
        all.get(at).copied().unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_change_together_and_times_move_on() {
        let mut body = Template::new(1_000);
        body.id(5);
        body.id(5);
        body.time_big(900);
        let mut request = body.request("here", "/there", "x: y\r\n");
        let length = request.bytes.len();
        assert_eq!(
            length,
            request.bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 28
        );
        request.renew(6);
        let number = |from_end: usize| {
            let at = request.bytes.len() - from_end;
            u64::from_be_bytes(request.bytes[at..at + 8].try_into().unwrap())
        };
        assert_eq!((number(24), number(16)), (3, 3));
        assert_eq!(request.time_ns - number(8), 100);
    }
}
