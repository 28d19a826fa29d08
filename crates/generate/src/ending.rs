//! How a call is cut short: one that fails was made whole first, and here loses what came after.

use crate::{
    call::{Call, Question},
    failure::{End, Failure, TIMEOUT},
    random::Random,
};

const MS: u64 = 1_000_000;

impl Call {
    pub(crate) fn outlasts(&self, question: &Question) -> Option<&'static Failure> {
        (self.duration_ns > question.patience_ns).then_some(&TIMEOUT)
    }

    pub(crate) fn fail(
        &mut self,
        random: &mut Random,
        question: &Question,
        failure: &'static Failure,
    ) {
        let end_ns = match failure.end {
            End::Patience => question.patience_ns + random.below(5 * MS),
            End::Loading => {
                let load = random.log_normal(self.model.load_ns / 2, 60);
                self.timings.load_ns = Some(load);
                self.timings.queue_ns.unwrap_or(0) + load
            }
            End::Midway | End::Refused(_) => 1 + self.duration_ns / 1_000 * random.between(20, 980),
        };
        // What would have been done in time must have hung somewhere.
        let missing = end_ns.saturating_sub(self.duration_ns);
        if missing > 0 {
            self.hang(random, missing);
        }
        self.cut(end_ns);
        self.duration_ns = end_ns;
        self.cause = failure.cause;
        self.failure = Some(failure);
        self.finish_reason = None;
    }

    /// In the midst of the answer, or before its first token.
    fn hang(&mut self, random: &mut Random, missing: u64) {
        let timings = &mut self.timings;
        if let Some(write) = timings.eval_ns
            && !random.one_in(3)
        {
            timings.eval_ns = Some(write + missing);
            timings.stall_ns = timings.stall_ns.map(|_| missing);
            return;
        }
        let write = timings.eval_ns.take().unwrap_or(0);
        timings.prompt_eval_ns = timings.prompt_eval_ns.map(|read| read + write + missing);
        timings.ttft_ns = None;
        timings.stall_ns = None;
    }

    fn cut(&mut self, end_ns: u64) {
        let timings = &mut self.timings;
        let whole = timings.eval_ns.unwrap_or(0).max(1);
        let mut left = end_ns;
        let phases = [
            ("queue", &mut timings.queue_ns),
            ("load", &mut timings.load_ns),
            ("prompt", &mut timings.prompt_eval_ns),
            ("generate", &mut timings.eval_ns),
        ];
        for (name, phase) in phases {
            *phase = phase.filter(|_| left > 0).map(|took| took.min(left));
            if let Some(took) = *phase {
                left -= took;
                self.phase = Some(name);
            }
        }
        let written = timings.eval_ns.unwrap_or(0);
        timings.ttft_ns = timings.ttft_ns.filter(|ttft| *ttft <= end_ns && written > 0);
        timings.stall_ns = timings.stall_ns.filter(|_| written > 0).map(|gap| gap.min(written));
        let share = |tokens| u128::from(tokens) * u128::from(written) / u128::from(whole);
        let tokens = self.output_tokens.map_or(0, |tokens: u64| share(tokens) as u64);
        self.output_tokens = (tokens > 0).then_some(tokens);
        self.reasoning_tokens = self.reasoning_tokens.map(|thought| thought.min(tokens));
        self.reasoning_tokens = self.reasoning_tokens.filter(|_| tokens > 0);
    }
}
