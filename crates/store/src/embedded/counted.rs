//! What segments of the list came to for the filters that were asked last. A segment never changes, and
//! an open page asks the same every few seconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::list::Seen;
use crate::Filter;

/// Filters of one segment; the one asked first goes.
const MOST_FILTERS: usize = 4;
/// Segments at a time. Those that are gone take room until there are too many.
const MOST_SEGMENTS: usize = 512;
/// Starts and values of one answer that are worth their memory.
const MOST_VALUES: usize = 1_000;

/// A question to a segment that counts with all of its rows.
pub(super) struct Asked<'a> {
    /// No number is given twice.
    pub(super) segment: u64,
    pub(super) filter: &'a Filter,
    /// How many of the newest starts are wanted.
    pub(super) wanted: usize,
}

struct Known {
    filter: Filter,
    wanted: usize,
    seen: Arc<Seen>,
}

impl Known {
    fn is_of(&self, asked: &Asked<'_>) -> bool {
        self.wanted == asked.wanted && self.filter == *asked.filter
    }
}

#[derive(Default)]
pub(super) struct Counted(Mutex<HashMap<u64, Vec<Known>>>);

impl Counted {
    pub(super) fn get(&self, asked: &Asked<'_>) -> Option<Arc<Seen>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&asked.segment)?.iter().find(|known| known.is_of(asked))?;
        Some(Arc::clone(&known.seen))
    }

    pub(super) fn remember(&self, asked: &Asked<'_>, seen: &Arc<Seen>) {
        if seen.len() > MOST_VALUES {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_SEGMENTS && !all.contains_key(&asked.segment) {
            all.clear();
        }
        let of_segment = all.entry(asked.segment).or_default();
        // Another thread may have asked the same meanwhile.
        if of_segment.iter().any(|known| known.is_of(asked)) {
            return;
        }
        if of_segment.len() >= MOST_FILTERS {
            of_segment.remove(0);
        }
        let (filter, wanted) = (asked.filter.clone(), asked.wanted);
        of_segment.push(Known { filter, wanted, seen: Arc::clone(seen) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str, counted: &Counted, segment: u64) -> bool {
        let filter = Filter::parse(text).unwrap();
        let asked = Asked { segment, filter: &filter, wanted: 51 };
        let is_known = counted.get(&asked).is_some();
        counted.remember(&asked, &Arc::default());
        is_known
    }

    #[test]
    fn the_last_filters_of_each_segment_are_known() {
        let counted = Counted::default();
        assert!(!ask("status:error", &counted, 1));
        assert!(ask("status:error", &counted, 1));
        assert!(!ask("status:error", &counted, 2));
        assert!(!ask("status:ok", &counted, 1));
        for number in 0..MOST_FILTERS {
            ask(&format!("service:s{number}"), &counted, 1);
        }
        assert!(!ask("status:error", &counted, 1), "it is long ago");
    }

    #[test]
    fn other_lengths_of_a_page_are_other_questions() {
        let counted = Counted::default();
        let filter = Filter::default();
        let short = Asked { segment: 1, filter: &filter, wanted: 11 };
        let long = Asked { segment: 1, filter: &filter, wanted: 51 };
        counted.remember(&short, &Arc::default());
        assert!(counted.get(&short).is_some() && counted.get(&long).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let counted = Counted::default();
        (0..3 * MOST_SEGMENTS as u64).for_each(|segment| {
            ask("", &counted, segment);
        });
        assert!(counted.0.lock().unwrap().len() <= MOST_SEGMENTS);
    }
}
