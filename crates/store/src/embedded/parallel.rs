//! Segments looked into by several threads at a time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{Config, segment::Segment};

/// Hands the segments out to several threads, this one among them. Each begins with what
/// `begin` makes, which comes back with what `work` made of it.
pub(super) fn share_out<'a, T: Send>(
    segments: &[&'a Segment],
    config: &Config,
    begin: impl Fn() -> T + Sync,
    work: impl Fn(&mut T, &'a Segment) + Sync,
) -> Vec<T> {
    let rows: u64 = segments.iter().map(|segment| segment.info.rows).sum();
    let worth = usize::try_from(rows / config.rows_per_thread.max(1)).unwrap_or(usize::MAX);
    let further = config.question_threads.min(segments.len()).min(worth).saturating_sub(1);
    let next = AtomicUsize::new(0);
    let run = || {
        let mut own = begin();
        while let Some(segment) = segments.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(&mut own, segment);
        }
        own
    };
    thread::scope(|scope| {
        let spawn = |_| {
            let builder = thread::Builder::new().name("andon-look".to_owned());
            // Where there can be no thread, the others do its part.
            builder.spawn_scoped(scope, run).ok()
        };
        let others: Vec<_> = (0..further).filter_map(spawn).collect();
        let mut made = vec![run()];
        for other in others {
            match other.join() {
                Ok(own) => made.push(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        made
    })
}
