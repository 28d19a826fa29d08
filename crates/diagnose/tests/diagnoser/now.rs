//! What calls that still run are said to wait for.

use andon_diagnose::{Language, Waiting};
use andon_model::{Cause, LiveCall, Phase, SpanId, TraceId};

use crate::world::*;

/// A call that has been in a phase for so long.
fn running(world: &World, phase: Phase, ns: u64) -> LiveCall {
    LiveCall {
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        request_id: None,
        service: "ollama".to_owned(),
        route: "/api/chat".to_owned(),
        model: "m".to_owned(),
        start_ns: world.now - ns,
        phase,
        phase_since_ns: world.now - ns,
        queue_position: None,
        load_progress: None,
        prompt_done: None,
        prompt_total: None,
        prompt_cached: None,
        prompt_parted_at: None,
        tokens: 0,
        tokens_per_s: None,
        eta_ms: None,
        eta_exact: false,
    }
}

fn told(world: &World, calls: &[LiveCall], language: Language) -> Option<Waiting> {
    world.diagnoser.waiting(calls, world.now, language).remove(0)
}

fn cause(world: &World, calls: &[LiveCall]) -> Option<Cause> {
    told(world, calls, Language::English).map(|waiting| waiting.cause)
}

fn sentence(world: &World, call: &LiveCall) -> String {
    told(world, std::slice::from_ref(call), Language::English).unwrap().sentence
}

#[test]
fn a_load_is_explained_while_it_goes_on() {
    let new = World::new();
    let loading = running(&new, Phase::Load, 2 * S);
    assert_eq!(sentence(&new, &loading), "The model is loaded: it is the first call to it.");
    let mut world = World::warm();
    world.wait(600 * S);
    let loading = running(&world, Phase::Load, 2 * S);
    let text = sentence(&world, &loading);
    assert!(text.contains("unused for 10 min") && text.contains("kept for 5 min"), "{text}");
    let mut world = World::warm();
    world.ask(Ask { model: "other", load: 3 * S, ..Ask::default() });
    let text = sentence(&world, &running(&world, Phase::Load, 2 * S));
    assert!(text.contains("other had pushed it out"), "{text}");
    // A moment is nobody's trouble.
    assert_eq!(cause(&world, &[running(&world, Phase::Load, S / 2)]), None);
}

#[test]
fn who_waits_hears_of_the_call_ahead() {
    let world = World::warm();
    let waiting = running(&world, Phase::Queue, 3 * S);
    let ahead = LiveCall { model: "big".to_owned(), ..running(&world, Phase::Generate, 9 * S) };
    let told = told(&world, &[waiting, ahead], Language::Japanese).unwrap();
    assert_eq!(told.cause, Cause::Queue);
    assert_eq!(told.sentence, "先に big への別の呼び出しに答えています。");
}

#[test]
fn a_long_prompt_is_told_from_a_usual_one_while_it_is_read() {
    let world = World::warm();
    let reading = |total: u64, cached: u64| LiveCall {
        prompt_total: Some(total),
        prompt_cached: Some(cached),
        prompt_done: Some(cached + 500),
        eta_exact: true,
        ..running(&world, Phase::Prompt, 500 * READ_NS)
    };
    assert_eq!(cause(&world, &[reading(600, 380)]), None, "as usual");
    let long = reading(14_906, 0);
    assert_eq!(
        sentence(&world, &long),
        "14,906 tokens are to be read, where 200 are usual; nothing was cached."
    );
    let parted = LiveCall { prompt_parted_at: Some("system".to_owned()), ..long };
    let text = sentence(&world, &parted);
    assert!(text.ends_with("nothing was cached, because the system text has changed."), "{text}");
}

#[test]
fn a_slow_pace_is_laid_to_what_strains_the_machine_now() {
    let mut world = World::warm();
    let busy = [("ffmpeg", 3.5, None)];
    world.see(Ask::default().span(world.now), |_| {}, &busy);
    let writing = |world: &World, tokens| LiveCall {
        tokens,
        ..running(world, Phase::Generate, 40 * WRITE_NS)
    };
    assert_eq!(cause(&world, &[writing(&world, 38)]), None, "a usual pace, whoever else is busy");
    let text = sentence(&world, &writing(&world, 10));
    assert!(text.starts_with("Slow, because other programs hold the CPU"), "{text}");
    assert!(
        text.contains("ffmpeg") && text.contains("6.2 tokens/s, where 25.0 are usual"),
        "{text}"
    );
    // The machine is calm, and so is what is said of it.
    world.ask(Ask::default());
    world.ask(Ask::default());
    world.ask(Ask::default());
    assert_eq!(cause(&world, &[writing(&world, 10)]), None);
    let beside = LiveCall { tokens: 5, ..running(&world, Phase::Generate, 30 * S) };
    assert_eq!(cause(&world, &[writing(&world, 10), beside]), Some(Cause::ParallelGeneration));
}

#[test]
fn a_clock_that_went_back_ends_nothing() {
    let world = World::warm();
    let mut call = running(&world, Phase::Generate, S);
    (call.start_ns, call.phase_since_ns) = (world.now + 5 * S, world.now + 9 * S);
    assert_eq!(cause(&world, &[call]), None);
}

#[test]
fn an_answer_is_long_by_the_same_rule_as_one_that_has_ended() {
    let mut world = World::new();
    for _ in 0..9 {
        world.ask(Ask { written: 6, ..Ask::default() });
    }
    let writing = |tokens: u64| LiveCall {
        tokens,
        ..running(&world, Phase::Generate, (tokens * WRITE_NS).max(2 * S))
    };
    // Twice the usual, and a few words more all the same.
    assert_eq!(cause(&world, &[writing(60)]), Some(Cause::LongAnswer));
    let short = LiveCall { phase_since_ns: world.now - S, ..writing(24) };
    assert_eq!(cause(&world, &[short]), None);
}

#[test]
fn of_thousands_that_run_the_first_ones_are_told() {
    let world = World::warm();
    let calls: Vec<_> = (0..5_000).map(|_| running(&world, Phase::Queue, 3 * S)).collect();
    let told = world.diagnoser.waiting(&calls, world.now, Language::English);
    assert_eq!(told.len(), calls.len());
    assert_eq!(told.iter().flatten().count(), 64);
}
