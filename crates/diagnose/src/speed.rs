//! Why a phase took longer than its tokens usually take.

use andon_model::{Cause, Phase};

use crate::{
    call::Call,
    diagnosis::{Fact, Finding},
    machine::{During, Machine},
    past::{Beside, Runtime},
};

/// What is weaker than this explains nothing.
const LEAST_STRENGTH: f64 = 0.25;
/// What would explain a phase that takes twice its time, each by itself.
const ALL_OF_OTHERS: f64 = 0.4;
const ALL_OF_STEAL: f64 = 0.25;
const ALL_OF_THROTTLING: f64 = 0.3;
const ALL_OF_MEMORY_PRESSURE: f64 = 0.2;
const ALL_OF_SWAP_IN: f64 = 8.0 * 1024.0 * 1024.0;
const ALL_OF_FAULTS: f64 = 1_000.0;
const ALL_OF_OVERLAP: f64 = 0.5;
/// What others may use of a core that still counts as free.
const NEARLY_A_CORE: f64 = 0.35;
/// What reading the same pages again brings with it.
const FOLLOWS_MEMORY: [Cause; 2] = [Cause::CpuStarved, Cause::Steal];
/// The provider of spans of our own runtime.
const OWN_RUNTIME: &str = "andon";

/// Something that can slow a phase down, from 0 (not there) to 1 (enough for all of it).
pub(crate) struct Strain {
    cause: Cause,
    pub(crate) strength: f64,
    facts: Vec<Fact>,
}

/// Everything that strained the machine in a phase, the strongest first.
pub(crate) fn strains(
    call: Call<'_>,
    phase: Phase,
    machine: &Machine,
    runtime: &Runtime,
    running: &[Beside],
) -> Vec<Strain> {
    strains_between(call, call.extent(phase), machine, runtime, running)
}

/// The same for a stretch of time.
pub(crate) fn strains_between(
    call: Call<'_>,
    (from_ns, to_ns): (u64, u64),
    machine: &Machine,
    runtime: &Runtime,
    running: &[Beside],
) -> Vec<Strain> {
    let during = machine.during(from_ns, to_ns);
    let mut strains: Vec<Strain> = during.iter().flat_map(of_machine).collect();
    if let Some(fact) = during.as_ref().and_then(|during| free_threads(call, during)) {
        let starved = strains.iter_mut().filter(|strain| strain.cause == Cause::CpuStarved);
        starved.for_each(|strain| strain.facts.push(fact.clone()));
    }
    strains.extend(beside(call, (from_ns, to_ns), runtime, running));
    if let Some(share) = call.share("andon.model.on_gpu").filter(|it| (0.02..0.98).contains(it)) {
        strains.push(Strain {
            cause: Cause::PartlyOnCpu,
            strength: 1.0 - share,
            facts: vec![Fact::OnGpu { share }],
        });
    }
    follow_memory(&mut strains);
    strains.retain(|strain| strain.strength >= LEAST_STRENGTH);
    strains.sort_by(|a, b| b.strength.total_cmp(&a.strength));
    strains
}

/// What has no room in memory is read again and again, which takes CPU too, of this machine and of the one
/// under it: where memory alone would explain all of it, the rest follows from that.
fn follow_memory(strains: &mut [Strain]) {
    let is_memory = |strain: &Strain| strain.cause == Cause::MemoryPressure;
    if !strains.iter().any(|strain| is_memory(strain) && strain.strength >= 1.0) {
        return;
    }
    for strain in strains.iter_mut().filter(|strain| FOLLOWS_MEMORY.contains(&strain.cause)) {
        strain.strength *= 0.5;
    }
}

fn of_machine(during: &During) -> Vec<Strain> {
    let cpus = f64::from(during.cpu_count.max(1));
    let when = Fact::When { from_ns: during.from_ns, to_ns: during.to_ns };
    let strain = |cause, strength: f64, facts: Vec<Fact>| {
        let facts = facts.into_iter().chain([when.clone()]).collect();
        Strain { cause, strength: strength.min(1.0), facts }
    };
    let others = during.others / cpus;
    let mut of_cpu = vec![Fact::OtherPrograms { cores: during.others, of: during.cpu_count }];
    if let Some((name, cores)) = &during.busiest {
        of_cpu.push(Fact::Process { name: name.to_string(), cores: *cores });
    }
    let steal = during.steal.unwrap_or(0.0) / cpus;
    let throttled = during.throttled.unwrap_or(0.0);
    let memory = [
        during.memory_pressure.unwrap_or(0.0) / ALL_OF_MEMORY_PRESSURE,
        during.swap_in.unwrap_or(0.0) / ALL_OF_SWAP_IN,
        // Faults alone may be a file that is read for the first time.
        match during.swap_in {
            Some(_) => 0.0,
            None => during.major_faults.unwrap_or(0.0) / ALL_OF_FAULTS,
        },
    ];
    let of_memory = Fact::Memory {
        pressure: during.memory_pressure,
        swap_in_bytes_per_s: during.swap_in,
        used: during.memory_used,
        total: during.memory_total,
    };
    vec![
        strain(Cause::CpuStarved, others / ALL_OF_OTHERS, of_cpu),
        strain(Cause::Steal, steal / ALL_OF_STEAL, vec![Fact::Steal { share: steal }]),
        strain(
            Cause::Throttled,
            throttled / ALL_OF_THROTTLING,
            vec![Fact::Throttled { share: throttled }],
        ),
        strain(Cause::MemoryPressure, memory.into_iter().fold(0.0, f64::max), vec![of_memory]),
    ]
}

/// llama.cpp's threads wait for each other by spinning, so one thread more than there are free cores makes
/// all of them wait: on two cores, one of them busy, two threads gave 1.6 tokens/s and one 14.7. `None`
/// where that is no help: the runtime sees to it by itself, as our own does.
fn free_threads(call: Call<'_>, during: &During) -> Option<Fact> {
    if call.0.provider.as_deref() == Some(OWN_RUNTIME) {
        return None;
    }
    let free = f64::from(during.cpu_count) - during.others + NEARLY_A_CORE;
    let count = free.floor().clamp(1.0, f64::from(u32::MAX)) as u32;
    let asked = call.number("andon.request.options.num_thread");
    let has_more = asked.is_none_or(|asked| asked > u64::from(count));
    (count < during.cpu_count && has_more).then_some(Fact::FreeThreads { count })
}

/// Other calls that computed at the same time.
fn beside(
    call: Call<'_>,
    (from_ns, to_ns): (u64, u64),
    runtime: &Runtime,
    running: &[Beside],
) -> Option<Strain> {
    let length = to_ns.saturating_sub(from_ns).max(1) as f64;
    let ended = runtime.beside(call.0, from_ns, to_ns);
    let all = ended.iter().chain(running);
    let longest = all.max_by_key(|other| other.overlap(from_ns, to_ns))?;
    let share = longest.overlap(from_ns, to_ns) as f64 / length;
    Some(Strain {
        cause: Cause::ParallelGeneration,
        strength: (share / ALL_OF_OVERLAP).min(1.0),
        facts: vec![longest.fact()],
    })
}

/// Shares out the time that a phase took too long, among what strained it.
pub(crate) fn findings(
    strains: Vec<Strain>,
    phase: Phase,
    slow_ns: u64,
    pace: &Fact,
) -> Vec<Finding> {
    let all: f64 = strains.iter().map(|strain| strain.strength).sum();
    let share = |strain: Strain| {
        let ns = (slow_ns as f64 * strain.strength / all) as u64;
        Finding::new(strain.cause, phase, ns).with([pace.clone()]).with(strain.facts)
    };
    strains.into_iter().map(share).collect()
}
