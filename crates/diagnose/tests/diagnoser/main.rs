//! The diagnoser over made-up calls whose causes are known.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod now;
mod queue;
mod world;

use andon_diagnose::{BetweenLooks, Diagnoser, Diagnosis, Fact, Language, explain};
use andon_model::{
    Cause, HostSample, LlmKind, ModelEvent, ModelEventKind, ProcessSample, Span, SpanId, SpanKind,
    Status, Timings, TraceId, UnloadReason,
};

use proptest::prelude::*;

use world::*;

#[test]
fn a_load_is_told_by_what_came_before_it() {
    let mut world = World::new();
    let load = Ask { load: 3 * S, ..Ask::default() };
    let first = world.ask(load.clone());
    assert_eq!(cause(&first), Cause::ColdStart);
    assert!(facts(&first).contains(&Fact::FirstCall { runtime_restarted: false }));
    assert_eq!(cause(&world.ask(Ask::default())), Cause::None);

    world.wait(400 * S);
    let expired = world.ask(load.clone());
    assert_eq!(cause(&expired), Cause::KeepAliveExpired);
    let idle = facts(&expired).into_iter().find_map(|fact| match fact {
        Fact::Idle { ns, kept_ns } => Some((ns, kept_ns)),
        _ => None,
    });
    let (ns, kept_ns) = idle.unwrap();
    assert!((400 * S..405 * S).contains(&ns) && kept_ns == 300 * S, "{ns} {kept_ns}");

    world.ask(Ask { model: "other", load: 2 * S, ..Ask::default() });
    let evicted = world.ask(load.clone());
    assert_eq!(cause(&evicted), Cause::Evicted);
    assert!(facts(&evicted).contains(&Fact::OtherModel { model: "other".to_owned() }));

    let mut options = load.span(world.now);
    options.attributes.set("andon.request.options.num_ctx", 8192_u64);
    let options = world.see(options, |_| {}, &[]);
    assert_eq!(cause(&options), Cause::OptionsChanged);
    let (name, to) = ("num_ctx".to_owned(), Some("8192".to_owned()));
    assert!(facts(&options).contains(&Fact::Option { name, from: None, to }));

    let mut restarted = load.span(world.now);
    restarted.attributes.set("andon.request.options.num_ctx", 8192_u64);
    restarted.pid = Some(8);
    let restarted = world.see(restarted, |_| {}, &[]);
    assert_eq!(cause(&restarted), Cause::ColdStart);
    assert!(facts(&restarted).contains(&Fact::FirstCall { runtime_restarted: true }));
}

/// Loaded and called by a way that Andon does not see.
#[test]
fn a_load_after_calls_that_nobody_saw_is_told_by_how_the_model_left() {
    let load = Ask { load: 3 * S, ..Ask::default() };
    let left = |reason, other: Option<&str>| {
        let mut world = World::new();
        let span = load.span(world.now);
        world.diagnoser.note_model(&ModelEvent {
            time_ns: span.start_ns - 2 * S,
            after_ns: Some(span.start_ns - 7 * S),
            runtime: span.service,
            model: format!("{}:latest", span.model.unwrap()),
            kind: ModelEventKind::Unloaded,
            reason,
            other_model: other.map(str::to_owned),
            ..ModelEvent::default()
        });
        world.ask(load.clone())
    };
    let evicted = left(Some(UnloadReason::Evicted), Some("qwen3"));
    assert_eq!(cause(&evicted), Cause::Evicted);
    assert!(facts(&evicted).contains(&Fact::OtherModel { model: "qwen3".to_owned() }));
    assert_eq!(cause(&left(Some(UnloadReason::Expired), None)), Cause::KeepAliveExpired);
    let gone = left(Some(UnloadReason::RuntimeGone), None);
    assert!(facts(&gone).contains(&Fact::FirstCall { runtime_restarted: true }));
    let unknown = left(None, None);
    assert!(facts(&unknown).contains(&Fact::FirstCall { runtime_restarted: false }));
}

#[test]
fn a_runtime_s_own_keep_alive_is_learned_from_what_happens() {
    let idle = |span: &Span| {
        facts(span).into_iter().find_map(|fact| match fact {
            Fact::Idle { kept_ns, .. } => Some(kept_ns),
            _ => None,
        })
    };
    // Kept for longer than it was said to be.
    let mut long = World::warm();
    long.wait(1_500 * S);
    long.ask(Ask::default());
    long.wait(2_000 * S);
    let gone = long.ask(Ask { load: 3 * S, ..Ask::default() });
    assert_eq!(cause(&gone), Cause::KeepAliveExpired);
    assert!(idle(&gone).unwrap() >= 1_500 * S);
    // And for less: the first time nobody can know.
    let mut short = World::warm();
    short.wait(70 * S);
    assert_eq!(cause(&short.ask(Ask { load: 3 * S, ..Ask::default() })), Cause::ColdStart);
    short.wait(80 * S);
    let gone = short.ask(Ask { load: 3 * S, ..Ask::default() });
    assert_eq!(cause(&gone), Cause::KeepAliveExpired);
    assert!(idle(&gone).unwrap() < 80 * S);
}

#[test]
fn a_kill_that_no_sample_has_yet_seen_explains_a_call_that_failed() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static KILLS: AtomicU64 = AtomicU64::new(4);
    let mut world = World::warm();
    let between_looks = BetweenLooks {
        oom_kills: || Some(KILLS.load(Ordering::Relaxed)),
        resident_bytes: |_| None,
    };
    world.diagnoser = Diagnoser::new("5m", between_looks);
    world.ask(Ask::default());
    KILLS.store(5, Ordering::Relaxed);
    let mut failed = Ask::default().span(world.now);
    failed.status = Status::Error;
    failed.cause = Some(Cause::RuntimeDown);
    world.diagnoser.judge(&mut failed, Vec::new);
    assert_eq!(cause(&failed), Cause::OutOfMemory);
    assert!(facts(&failed).contains(&Fact::OomKills { count: 1 }));
}

#[test]
fn a_call_s_own_keep_alive_counts_for_the_next_one() {
    let mut world = World::warm();
    let mut short = Ask::default().span(world.now);
    short.attributes.set("andon.request.keep_alive", "10s");
    world.see(short, |_| {}, &[]);
    world.wait(20 * S);
    assert_eq!(cause(&world.ask(Ask { load: 3 * S, ..Ask::default() })), Cause::KeepAliveExpired);
}

#[test]
fn what_is_asked_and_answered_is_compared_with_what_is_usual() {
    let mut world = World::warm();
    let long = world.ask(Ask { read: 4_000, ..Ask::default() });
    assert_eq!(cause(&long), Cause::LongPrompt);
    let fact = Fact::Prompt { read: 4_000, cached: 0, usual: Some(200) };
    assert!(facts(&long).contains(&fact));
    let talkative = world.ask(Ask { written: 400, ..Ask::default() });
    assert_eq!(cause(&talkative), Cause::LongAnswer);
    assert_eq!(cause(&world.ask(Ask { written: 70, ..Ask::default() })), Cause::None);
    assert_eq!(cause(&world.ask(Ask { queue: 9 * S, ..Ask::default() })), Cause::Queue);
}

#[test]
fn a_prompt_that_was_there_before_and_is_read_anew_has_lost_its_cache() {
    let mut world = World::warm();
    let mut lost = Ask { read: 3_000, ..Ask::default() }.span(world.now);
    lost.attributes.set("andon.prompt.bytes", 12_000_u64);
    lost.attributes.set("andon.prompt.shared_bytes", 0_u64);
    lost.attributes.set("andon.prompt.parted_at", "system");
    let lost = world.see(lost, |_| {}, &[]);
    assert_eq!(cause(&lost), Cause::PromptCacheLost);
    assert!(facts(&lost).contains(&Fact::Parted { at: "system".to_owned() }));

    // Another conversation was answered in between: nothing parted, and nothing is cached.
    let mut evicted = Ask { read: 3_000, ..Ask::default() }.span(world.now);
    evicted.attributes.set("andon.prompt.bytes", 12_000_u64);
    evicted.attributes.set("andon.prompt.shared_bytes", 11_000_u64);
    assert_eq!(cause(&world.see(evicted, |_| {}, &[])), Cause::PromptCacheLost);
}

#[test]
fn a_prompt_that_is_read_anew_and_slowly_has_not_lost_all_of_that_time_with_its_cache() {
    let mut world = World::warm();
    let mut span = Ask { read: 400, slow: 10.0, written: 5, ..Ask::default() }.span(world.now);
    span.attributes.set("andon.prompt.shared_bytes", 500_i64);
    span.attributes.set("andon.prompt.bytes", 1_000_i64);
    let span = world.see(span, |_| {}, &[]);
    assert_eq!(cause(&span), Cause::Unknown);
    let lost = Diagnosis::of(&span)
        .unwrap()
        .findings
        .into_iter()
        .find(|it| it.cause == Cause::PromptCacheLost);
    assert_eq!(
        lost.map_or(0, |lost| lost.ns),
        0,
        "200 tokens at the usual pace are not worth saying"
    );
}

#[test]
fn a_cache_that_went_with_the_model_is_the_load_s_cost_and_counted_once() {
    let mut world = World::warm();
    world.wait(400 * S);
    let mut again = Ask { load: 3 * S, read: 3_000, ..Ask::default() }.span(world.now);
    again.attributes.set("andon.prompt.bytes", 12_000_u64);
    again.attributes.set("andon.prompt.shared_bytes", 12_000_u64);
    let again = world.see(again, |_| {}, &[]);
    let findings = Diagnosis::of(&again).unwrap().findings;
    let told: Vec<_> = findings.iter().map(|it| (it.cause, it.ns)).collect();
    assert_eq!(told, [(Cause::KeepAliveExpired, 3 * S + 3_000 * READ_NS)]);
    let said = explain(std::slice::from_ref(&again), Language::English).sentence;
    assert!(said.contains("Loading it again and reading the prompt anew took 9.00 s"), "{said}");
}

#[test]
fn slow_tokens_are_explained_by_what_strained_the_machine() {
    let slow = Ask { slow: 3.0, ..Ask::default() };
    type Strain = fn(&mut HostSample);
    let strains: [(Cause, Strain); 4] = [
        (Cause::Steal, |host| host.cpu_steal_cores = Some(1.5)),
        (Cause::Throttled, |host| host.cpu_throttled = Some(0.6)),
        (Cause::MemoryPressure, |host| host.memory_pressure = Some(0.5)),
        (Cause::MemoryPressure, |host| host.swap_in_bytes_per_s = Some(3e7)),
    ];
    for (expected, strain) in strains {
        let mut world = World::warm();
        let span = slow.span(world.now);
        assert_eq!(cause(&world.see(span, strain, &[])), expected);
    }
    // What follows from want of memory is not the main cause.
    let mut world = World::warm();
    let span = slow.span(world.now);
    let thrashing = |host: &mut HostSample| {
        (host.memory_pressure, host.cpu_steal_cores) = (Some(0.5), Some(1.5));
    };
    assert_eq!(cause(&world.see(span, thrashing, &[])), Cause::MemoryPressure);
    let mut world = World::warm();
    let span = slow.span(world.now);
    let hog = [("stress-ng", 2.5, None), ("ollama", 1.4, Some("runtime"))];
    let starved = world.see(span, |host| host.cpu_busy_cores = 3.9, &hog);
    assert_eq!(cause(&starved), Cause::CpuStarved);
    let name = "stress-ng".to_owned();
    assert!(facts(&starved).contains(&Fact::Process { name, cores: 2.5 }));
    // Of four cores one and a half are left: more than one thread would wait for others.
    assert!(facts(&starved).contains(&Fact::FreeThreads { count: 1 }));
    let advice = explain(std::slice::from_ref(&starved), Language::English).advice.join(" ");
    assert!(advice.contains("fewer threads are faster: 1 (num_thread"), "{advice}");
    let mut ours = slow.span(world.now);
    ours.provider = Some("andon".to_owned());
    let ours = world.see(ours, |host| host.cpu_busy_cores = 3.9, &hog);
    assert!(!facts(&ours).iter().any(|fact| matches!(fact, Fact::FreeThreads { .. })));
    // The same strain on tokens as fast as ever is no cause.
    let span = Ask::default().span(world.now);
    assert_eq!(cause(&world.see(span, |host| host.cpu_busy_cores = 3.9, &hog)), Cause::None);
    // Slow, and nothing to be seen: that is said, and no more.
    assert_eq!(cause(&world.ask(slow)), Cause::Unknown);
}

/// In a container, or as a service with a quota, while Andon has none.
#[test]
fn a_limit_on_the_runtime_s_own_cpu_time_is_seen_at_its_process() {
    let told = |role: Option<&str>, share| {
        let world = World::warm();
        let mut span = Ask { slow: 3.0, ..Ask::default() }.span(world.now);
        for time_ns in (world.now..span.end_ns() + S).step_by(S as usize) {
            let host = HostSample { time_ns, cpu_count: 4, ..HostSample::default() };
            let held = ProcessSample {
                role: role.map(str::to_owned),
                cpu_throttled: Some(share),
                ..process("ollama", 0.2, time_ns)
            };
            world.diagnoser.note(&host, &[held]);
        }
        world.diagnoser.judge(&mut span, Vec::new);
        span
    };
    let throttled = told(Some("runtime"), 0.9);
    assert_eq!(cause(&throttled), Cause::Throttled);
    assert!(facts(&throttled).contains(&Fact::Throttled { share: 0.9 }));
    assert_eq!(cause(&told(Some("runtime"), 0.02)), Cause::Unknown);
    assert_eq!(cause(&told(None, 0.9)), Cause::Unknown, "somebody else's limit");
}

#[test]
fn the_machine_here_says_nothing_of_a_runtime_elsewhere() {
    let mut world = World::warm();
    let mut there = Ask { slow: 3.0, ..Ask::default() }.span(world.now);
    there.attributes.set("server.address", "192.168.1.9:11434");
    let there = world.see(there, |host| host.cpu_steal_cores = Some(2.0), &[]);
    assert_eq!(cause(&there), Cause::Unknown);
}

#[test]
fn answers_written_at_once_slow_each_other_down() {
    let mut world = World::warm();
    let slow = Ask { slow: 2.0, ..Ask::default() };
    let (one, two) = (slow.span(world.now), slow.span(world.now + 10 * MS));
    let first = one.trace_id;
    world.see(one, |_| {}, &[]);
    let two = world.see(two, |_| {}, &[]);
    assert_eq!(cause(&two), Cause::ParallelGeneration);
    let model = Some("m".to_owned());
    assert!(facts(&two).contains(&Fact::OtherCall { trace_id: first, model }));
}

#[test]
fn of_two_causes_the_dearer_one_is_the_main_one_and_both_are_said() {
    let mut world = World::warm();
    world.wait(400 * S);
    let both = world.ask(Ask { load: 3 * S, read: 4_000, ..Ask::default() });
    let diagnosis = Diagnosis::of(&both).unwrap();
    let causes: Vec<Cause> = diagnosis.findings.iter().map(|finding| finding.cause).collect();
    assert_eq!(causes, [Cause::LongPrompt, Cause::KeepAliveExpired]);
    let ns: Vec<u64> = diagnosis.findings.iter().map(|finding| finding.ns / MS).collect();
    assert_eq!(ns, [3_800 * READ_NS / MS, 3_000]);
}

#[test]
fn a_failure_is_told_with_what_made_it_late() {
    let mut world = World::warm();
    let mut late = Ask { load: 22 * S, read: 0, written: 0, ..Ask::default() }.span(world.now);
    late.status = Status::Error;
    late.cause = Some(Cause::Timeout);
    late.duration_ns = 30 * S;
    late.attributes.set("andon.error.phase", "prompt");
    world.wait(400 * S);
    late.start_ns = world.now;
    let late = world.see(late, |_| {}, &[]);
    assert_eq!(cause(&late), Cause::Timeout);
    let said = explain(std::slice::from_ref(&late), Language::English);
    assert!(said.failed);
    assert_eq!(said.sentence, "Stopped by the time limit after 30.0 s, while reading the prompt.");
    assert_eq!(said.causes[1].cause, Cause::KeepAliveExpired);

    let mut told_by_an_app = Span::new(TraceId::random(), "app", "chat");
    told_by_an_app.llm_kind = Some(LlmKind::Llm);
    told_by_an_app.status = Status::Error;
    told_by_an_app.error_type = Some("openai.APITimeoutError".to_owned());
    world.diagnoser.judge(&mut told_by_an_app, Vec::new);
    assert_eq!(cause(&told_by_an_app), Cause::Timeout);
}

#[test]
fn a_runtime_that_the_kernel_ended_was_out_of_memory() {
    let mut world = World::warm();
    let mut dead = Ask::default().span(world.now);
    dead.status = Status::Error;
    dead.cause = Some(Cause::RuntimeDown);
    let dead = world.see(dead, |host| host.oom_kills = Some(1), &[]);
    assert_eq!(cause(&dead), Cause::OutOfMemory);
}

#[test]
fn nothing_is_claimed_of_calls_that_differ_as_calls_do() {
    let mut world = World::warm();
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |from: u64, to: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        from + random % (to - from)
    };
    let mut claimed = 0;
    for _ in 0..500 {
        let ask = Ask {
            read: next(60, 400),
            written: next(20, 80),
            slow: next(85, 120) as f64 / 100.0,
            ..Ask::default()
        };
        claimed += u32::from(cause(&world.ask(ask)) != Cause::None);
        world.wait(next(1, 60) * S);
    }
    assert!(claimed <= 10, "{claimed} of 500");
}

#[test]
fn a_clock_that_is_set_back_ends_nothing() {
    let mut world = World::warm();
    world.now -= 500 * S;
    assert_eq!(cause(&world.ask(Ask { queue: 9 * S, ..Ask::default() })), Cause::Queue);
    world.ask(Ask { load: 3 * S, ..Ask::default() });
}

#[test]
fn a_sentence_tells_the_cause_in_both_languages() {
    let mut world = World::new();
    let mut root = Span::new(TraceId::random(), "gateway", "POST /granite");
    root.kind = SpanKind::Server;
    root.status = Status::Ok;
    root.start_ns = world.now;
    root.duration_ns = 29_600 * MS;
    let mut call = Ask { load: 22_400 * MS, ..Ask::default() }.span(world.now);
    call.trace_id = root.trace_id;
    call.parent_id = Some(root.span_id);
    let call = world.see(call, |_| {}, &[]);
    let spans = [root, call];
    let en = explain(&spans, Language::English);
    assert_eq!(
        en.sentence,
        "Cold start (first call to this model). Loading the model took 22.4 s of 29.6 s (76 %)."
    );
    let ja = explain(&spans, Language::Japanese);
    assert_eq!(
        ja.sentence,
        "コールドスタートです(このモデルへの最初の呼び出し)。\
         29.6 秒のうち 22.4 秒(76 %)がモデルの読み込みです。"
    );
    assert_eq!(en.shares.iter().map(|share| share.ns).sum::<u64>(), 29_600 * MS);
    assert_eq!(en.shares[0].phase, "load");
}

#[test]
fn time_outside_of_the_model_is_the_app_s() {
    let mut world = World::warm();
    let mut root = Span::new(TraceId::random(), "web", "GET /");
    root.start_ns = world.now;
    root.duration_ns = 20 * S;
    let mut call = Ask::default().span(world.now + S);
    call.trace_id = root.trace_id;
    call.parent_id = Some(root.span_id);
    let call = world.see(call, |_| {}, &[]);
    // The app's own request took as long: it waited for what is between it and the model.
    let mut request = root.clone();
    (request.span_id, request.parent_id) = (SpanId::random(), Some(root.span_id));
    (request.kind, request.duration_ns) = (SpanKind::Client, 19 * S);
    let mut behind = call.clone();
    behind.parent_id = Some(request.span_id);
    let way = request.duration_ns - behind.duration_ns;
    let said = explain(&[root.clone(), request, behind], Language::English);
    assert_eq!((said.cause, said.causes[0].ns), (Cause::Network, way));
    let said = explain(&[root, call], Language::English);
    assert_eq!(said.cause, Cause::SlowApp);
    assert!(said.sentence.contains("in web"), "{}", said.sentence);
}

/// Any number that a runtime, or an app, may have sent.
fn any_number() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        Just(None),
        (0_u64..1_000).prop_map(Some),
        (0_u64..100 * S).prop_map(Some),
        any::<u64>().prop_map(Some),
    ]
}

proptest! {
    #[test]
    fn whatever_numbers_come_nothing_ends_and_the_shares_are_the_whole(
        calls in prop::collection::vec(prop::collection::vec(any_number(), 12), 1..24),
    ) {
        let mut world = World::new();
        let mut spans = Vec::new();
        for numbers in calls {
            let mut span = Ask::default().span(world.now);
            span.start_ns = numbers[0].unwrap_or(span.start_ns);
            span.duration_ns = numbers[1].unwrap_or(span.duration_ns);
            span.input_tokens = numbers[2];
            span.cached_tokens = numbers[3];
            span.output_tokens = numbers[4];
            span.timings = Timings {
                queue_ns: numbers[5],
                load_ns: numbers[6],
                prompt_eval_ns: numbers[7],
                eval_ns: numbers[8],
                ..Timings::default()
            };
            for (name, number) in [
                ("andon.prompt.bytes", numbers[9]),
                ("andon.prompt.shared_bytes", numbers[10]),
                ("andon.runtime.total_ns", numbers[11]),
            ] {
                if let Some(number) = number {
                    span.attributes.set(name, number);
                }
            }
            world.diagnoser.judge(&mut span, Vec::new);
            for language in [Language::English, Language::Japanese] {
                let said = explain(std::slice::from_ref(&span), language);
                prop_assert!(!said.sentence.is_empty());
                let sum: u64 = said.shares.iter().map(|share| share.ns).sum();
                prop_assert!(said.shares.is_empty() || sum == said.total_ns);
            }
            spans.push(span);
            world.now += S;
        }
        explain(&spans, Language::English);
    }
}
