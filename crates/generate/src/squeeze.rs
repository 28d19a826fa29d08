//! No span ends after the time that was asked for: a trace that would is made shorter as a whole,
//! which happens to the very last ones only.

use crate::{rhythm::Moment, world::Trace};

pub(crate) fn into(trace: &mut Trace, moment: &Moment) {
    let ends = trace.observations.iter().map(|observation| observation.span.end_ns());
    let length_ns = ends.max().unwrap_or(0).saturating_sub(moment.at_ns);
    if length_ns <= moment.left_ns {
        return;
    }
    // Rounded down, so that parts do not come to more than the whole.
    let shorter =
        |ns: u64| (u128::from(ns) * u128::from(moment.left_ns) / u128::from(length_ns)) as u64;
    for observation in &mut trace.observations {
        let span = &mut observation.span;
        let end_ns = shorter(span.end_ns() - moment.at_ns);
        let start_ns = shorter(span.start_ns - moment.at_ns);
        span.start_ns = moment.at_ns + start_ns;
        span.duration_ns = end_ns - start_ns;
        let timings = &mut span.timings;
        for part in [
            &mut timings.queue_ns,
            &mut timings.load_ns,
            &mut timings.prompt_eval_ns,
            &mut timings.ttft_ns,
            &mut timings.eval_ns,
            &mut timings.stall_ns,
        ] {
            *part = part.map(shorter);
        }
    }
}
