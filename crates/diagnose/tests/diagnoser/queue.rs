//! Waiting that nobody tells of.

use andon_model::Cause;

use crate::world::*;

/// A call to a runtime that counts what it does, and not how long a call waits for its turn.
fn waits_untold(world: &mut World, at: u64, wait: u64) -> Cause {
    let mut span = Ask::default().span(at);
    span.timings.queue_ns = None;
    span.duration_ns += wait;
    cause(&world.see(span, |_| {}, &[]))
}

#[test]
fn time_before_a_call_is_its_turn_s_while_another_one_is_worked_on() {
    let mut world = World::warm();
    let at = world.now;
    let long = world.ask(Ask { written: 2_000, ..Ask::default() });
    let left = long.duration_ns - 200 * MS;
    assert_eq!(waits_untold(&mut world, at + 200 * MS, left), Cause::Queue);
    // Nobody was ahead, or not for long: it is the way's.
    world.wait(60 * S);
    let at = world.now;
    assert_eq!(waits_untold(&mut world, at, left), Cause::Network);
    let at = world.now;
    let short = world.ask(Ask::default());
    assert_eq!(waits_untold(&mut world, at, 5 * short.duration_ns), Cause::Network);
}
