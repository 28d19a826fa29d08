//! Many exporters at once, each of which waits for its answer before it sends its next batch: as fast as
//! they can, or at a pace.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    spans::BATCH,
    template::{Numbers, Template},
};
use crate::{http::Connection, process, statistics::Sample};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Before the same batch is sent again that was refused.
const PAUSE: Duration = Duration::from_millis(50);

/// What came of it.
pub(crate) struct Load {
    /// All that were acknowledged, those of the warm-up too.
    pub(crate) acknowledged: u64,
    /// Acknowledged a second, the warm-up left out.
    pub(crate) per_second: f64,
    /// Of one batch, in milliseconds.
    pub(crate) answers: Sample,
    /// Batches that were to be sent again.
    pub(crate) refused: u64,
    /// Most memory of the receiver, MB.
    pub(crate) resident: f64,
}

/// What one exporter has seen.
#[derive(Default)]
struct Seen {
    all: u64,
    timed: Vec<f64>,
    refused: u64,
}

/// Sends for `warm_up` and then for `time`; each list of templates is one connection's. `pace`: spans a
/// second of all of them together. With one, an answer's time is counted from when its batch was due.
pub(crate) fn drive(
    authority: &str,
    pid: u32,
    exporters: Vec<Vec<Template>>,
    (warm_up, time): (Duration, Duration),
    pace: Option<f64>,
) -> Result<Load> {
    let start = Instant::now();
    let begin = start + warm_up;
    let connections = exporters.len() as f64;
    let step = pace.map(|pace| Duration::from_secs_f64(BATCH as f64 * connections / pace));
    let ended = AtomicBool::new(false);
    let (seen, resident) = thread::scope(|scope| -> Result<_> {
        let watch = scope.spawn(|| most_resident(pid, &ended));
        let senders: Vec<_> = (1u64..)
            .zip(exporters)
            .map(|(which, templates)| {
                // One after the other, not all at once.
                let first = step.map(|step| start + step.mul_f64(which as f64 / connections));
                let due = first.zip(step).map(|(next, step)| Due { next, step });
                scope.spawn(move || send(authority, which, templates, (begin, begin + time), due))
            })
            .collect();
        let seen: Result<Vec<Seen>> = senders
            .into_iter()
            .map(|sender| sender.join().ok().context("an exporter ended")?)
            .collect();
        ended.store(true, Ordering::Relaxed);
        Ok((seen?, watch.join().ok().context("nobody watched the memory")??))
    })?;
    let all: u64 = seen.iter().map(|seen| seen.all).sum();
    let refused = seen.iter().map(|seen| seen.refused).sum();
    let answers: Sample = seen.into_iter().flat_map(|seen| seen.timed).collect();
    ensure!(answers.len() > 0, "nothing was acknowledged");
    Ok(Load {
        acknowledged: all * BATCH as u64,
        per_second: (answers.len() * BATCH) as f64 / time.as_secs_f64(),
        answers,
        refused,
        resident,
    })
}

/// When one exporter's batches are due.
struct Due {
    next: Instant,
    step: Duration,
}

impl Due {
    /// Waits for the next one, if it is not late already, and says when it was due.
    fn wait(&mut self) -> Instant {
        let due = self.next;
        self.next += self.step;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due
    }
}

fn send(
    authority: &str,
    which: u64,
    mut templates: Vec<Template>,
    (begin, end): (Instant, Instant),
    mut due: Option<Due>,
) -> Result<Seen> {
    let mut connection = Connection::open(authority)?;
    let mut keys = Numbers(which << 32);
    let mut seen = Seen::default();
    for at in (0..templates.len()).cycle() {
        if Instant::now() >= end {
            break;
        }
        let template = templates.get_mut(at).context("no template")?;
        template.renew(keys.next());
        let sent = due.as_mut().map_or_else(Instant::now, Due::wait);
        loop {
            connection.write_bytes(&template.bytes)?;
            let answer = connection.read()?;
            if !matches!(answer.status, 429 | 503) {
                ensure!(answer.status == 200, "status {}: {}", answer.status, answer.text());
                break;
            }
            seen.refused += 1;
            thread::sleep(PAUSE);
        }
        let now = Instant::now();
        seen.all += 1;
        if now >= begin && now < end {
            seen.timed.push(now.duration_since(sent).as_secs_f64() * 1e3);
        }
    }
    Ok(seen)
}

fn most_resident(pid: u32, ended: &AtomicBool) -> Result<f64> {
    let mut most = 0.0_f64;
    while !ended.load(Ordering::Relaxed) {
        most = most.max(process::resident(pid)?.total);
        thread::sleep(LOOK_EVERY);
    }
    Ok(most)
}
