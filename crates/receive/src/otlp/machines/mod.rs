//! Machines that tell of themselves in OpenTelemetry's system metrics: what the Collector's `hostmetrics`
//! receiver and Python's system metrics send becomes samples like those of Andon's own sampler. The
//! points are kept as metrics all the same.
//!
//! `points.rs` reads what a request says of which machine, `look.rs` puts one sender's points together.
//!
//! What a newcomer gets wrong: a machine may be told of by several programs, each of which sees all of
//! it. They are looked at apart, and one of them speaks for the machine.

mod devices;
mod look;
mod points;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use andon_model::{HostSample, UnixNanos};

use self::{
    look::Looks,
    points::{Sender, Told, told},
};
use super::wire::MetricsRequest;

/// Programs that tell of their machine and are remembered. With one more the one goes that was not heard
/// of for longest.
const MOST_SENDERS: usize = 64;
/// Whoever was not heard of for longer begins anew: a rate over such a time says little, and a clock
/// that was set back would be waited for as long as it was set back.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);
/// Between two looks of a program of which only one has come yet: what the Collector and the SDKs have
/// as their default.
const USUAL_PAUSE_NS: u64 = 60_000_000_000;
/// Another program speaks for a machine when the one that did has missed as many looks.
const MISSED: u64 = 3;

/// All machines that are told of.
#[derive(Default)]
pub(crate) struct Machines {
    senders: HashMap<Sender, Heard>,
    /// Names of the machine that Andon samples itself.
    own_names: Vec<String>,
}

/// One program, as it was heard of so far.
struct Heard {
    looks: Looks,
    /// When something new came, by our clock.
    last: Instant,
    /// The time of the last sample that was handed on, and the pause before it; nanoseconds.
    spoke: Option<(UnixNanos, u64)>,
}

impl Machines {
    /// No samples are made of the machine that has these names.
    pub(crate) fn leave_out(&mut self, own_names: Vec<String>) {
        self.own_names = own_names;
    }

    /// The samples that are complete with this request; each machine's are in the order of time. `now`
    /// is by our own clock.
    pub(crate) fn take(&mut self, request: &MetricsRequest, now: Instant) -> Vec<HostSample> {
        let mut samples = Vec::new();
        for Told { sender, points } in told(request) {
            if self.own_names.iter().any(|own| is_same_machine(own, &sender.host)) {
                continue;
            }
            let heard = self.heard(&sender, now);
            let before_ns = heard.looks.newest_ns();
            let looks = heard.looks.take(points);
            if heard.looks.newest_ns() > before_ns {
                heard.last = now;
            }
            for sample in looks {
                if self.speaks(&sender, sample.time_ns) {
                    samples.push(HostSample { host: Some(sender.host.clone()), ..sample });
                }
            }
        }
        samples
    }

    fn heard(&mut self, sender: &Sender, now: Instant) -> &mut Heard {
        let silence = |heard: &Heard| now.saturating_duration_since(heard.last);
        self.senders.retain(|_, heard| silence(heard) <= LONGEST_SILENCE);
        if self.senders.len() >= MOST_SENDERS && !self.senders.contains_key(sender) {
            let oldest = self.senders.iter().min_by_key(|(_, heard)| heard.last);
            if let Some(oldest) = oldest.map(|(sender, _)| sender.clone()) {
                self.senders.remove(&oldest);
            }
        }
        let new = || Heard { looks: Looks::default(), last: now, spoke: None };
        self.senders.entry(sender.clone()).or_insert_with(new)
    }

    /// Whether this program is the one whose samples count, and notes that it has spoken if so.
    fn speaks(&mut self, sender: &Sender, time_ns: UnixNanos) -> bool {
        let is_silent = |heard: &Heard| {
            heard.spoke.is_none_or(|(last, pause)| {
                time_ns > last.saturating_add(pause.saturating_mul(MISSED))
            })
        };
        let mut others = self.senders.iter().filter(|(other, _)| *other != sender);
        if others.any(|(other, heard)| other.host == sender.host && !is_silent(heard)) {
            return false;
        }
        if let Some(heard) = self.senders.get_mut(sender) {
            let pause = heard.spoke.map(|(last, _)| time_ns.saturating_sub(last));
            heard.spoke = Some((time_ns, pause.unwrap_or(USUAL_PAUSE_NS)));
        }
        true
    }
}

/// A machine's name with its domain or without; two with different domains are two machines.
fn is_same_machine(one: &str, other: &str) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
    let is_bare = |name: &str| !name.contains('.');
    one.eq_ignore_ascii_case(other)
        || (is_bare(one) || is_bare(other)) && first(one) == first(other)
}
