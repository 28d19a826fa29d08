//! The queue in front of the runtime: first come, first served, bounded, each place told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::live::CallState;

/// Lets `max_running` calls through at a time.
#[derive(Clone)]
pub(crate) struct Queue {
    inner: Arc<Mutex<Inner>>,
    max_running: usize,
    max_waiting: usize,
}

struct Inner {
    running: usize,
    waiting: VecDeque<Arc<Waiter>>,
}

struct Waiter {
    call: Arc<CallState>,
    turn: Notify,
}

/// All places are taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{waiting} requests are waiting already")]
pub(crate) struct Full {
    pub(crate) waiting: usize,
}

/// The right to run; gives its place to the next one when dropped.
pub(crate) struct Turn {
    queue: Queue,
}

impl Queue {
    pub(crate) fn new(max_running: usize, max_waiting: usize) -> Self {
        let inner = Inner { running: 0, waiting: VecDeque::new() };
        Self { inner: Arc::new(Mutex::new(inner)), max_running: max_running.max(1), max_waiting }
    }

    /// Takes a place; `call` is told which. Dropping the place leaves the queue.
    pub(crate) fn join(&self, call: &Arc<CallState>) -> Result<Place, Full> {
        let mut inner = self.lock();
        if inner.running < self.max_running {
            inner.running += 1;
            let turn = Turn { queue: self.clone() };
            return Ok(Place { queue: self.clone(), held: Held::Turn(turn) });
        }
        let waiting = inner.waiting.len();
        if waiting >= self.max_waiting {
            return Err(Full { waiting });
        }
        let waiter = Arc::new(Waiter { call: Arc::clone(call), turn: Notify::new() });
        inner.waiting.push_back(Arc::clone(&waiter));
        waiter.call.set_queue_position(waiting as u32 + 1);
        Ok(Place { queue: self.clone(), held: Held::Waiter(waiter) })
    }

    pub(crate) fn max_running(&self) -> usize {
        self.max_running
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a turn that came free to the next in line.
    fn pass_on(&self) {
        let mut inner = self.lock();
        match inner.waiting.pop_front() {
            Some(next) => {
                next.call.set_queue_position(0);
                next.turn.notify_one();
                inner.tell_places();
            }
            None => inner.running -= 1,
        }
    }
}

impl Inner {
    fn tell_places(&self) {
        for (place, waiter) in self.waiting.iter().enumerate() {
            waiter.call.set_queue_position(place as u32 + 1);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.pass_on();
    }
}

/// A place in line. If its owner leaves, the place goes; if its turn had just come, the turn is
/// passed on.
pub(crate) struct Place {
    queue: Queue,
    held: Held,
}

enum Held {
    Turn(Turn),
    Waiter(Arc<Waiter>),
    Nothing,
}

impl Place {
    /// Waits until it is this place's turn.
    pub(crate) async fn turn(mut self) -> Turn {
        if let Held::Waiter(waiter) = &self.held {
            waiter.turn.notified().await;
        }
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Turn(turn) => turn,
            Held::Waiter(_) | Held::Nothing => Turn { queue: self.queue.clone() },
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Held::Waiter(waiter) = &self.held else { return };
        let mut inner = self.queue.lock();
        let place = inner.waiting.iter().position(|other| Arc::ptr_eq(other, waiter));
        if let Some(place) = place {
            inner.waiting.remove(place);
            inner.tell_places();
        } else {
            drop(inner);
            self.queue.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use andon_model::{RequestId, SpanId, TraceId};

    use super::*;
    use crate::live::{Fixed, LiveCalls, Running};

    fn call(calls: &LiveCalls) -> Running {
        calls.begin(Arc::new(Fixed {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            request_id: RequestId::from_caller(None),
            service: "proxy".to_owned(),
            route: "/chat".to_owned(),
            model: "m".to_owned(),
        }))
    }

    fn positions(calls: &LiveCalls) -> Vec<Option<u32>> {
        calls.snapshot().iter().map(|call| call.queue_position).collect()
    }

    #[tokio::test]
    async fn places_are_told_and_move_up_when_one_leaves_the_line() {
        let (calls, queue) = (LiveCalls::default(), Queue::new(1, 2));
        let (first, second, third, fourth) =
            (call(&calls), call(&calls), call(&calls), call(&calls));
        let turn = queue.join(&first.state).unwrap().turn().await;
        let second_place = queue.join(&second.state).unwrap();
        let third_place = queue.join(&third.state).unwrap();
        assert_eq!(positions(&calls), [None, Some(1), Some(2), None]);
        assert_eq!(queue.join(&fourth.state).err(), Some(Full { waiting: 2 }));

        drop(second_place);
        assert_eq!(positions(&calls)[2], Some(1));
        drop(turn);
        third_place.turn().await;
    }

    #[tokio::test]
    async fn a_turn_that_came_to_one_who_just_left_goes_to_the_next() {
        let (calls, queue) = (LiveCalls::default(), Queue::new(1, 5));
        let running = [call(&calls), call(&calls), call(&calls)];
        let turn = queue.join(&running[0].state).unwrap().turn().await;
        let mut second = Box::pin(queue.join(&running[1].state).unwrap().turn());
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut second).await.is_err());
        let third = queue.join(&running[2].state).unwrap();
        drop(turn);
        drop(second);
        third.turn().await;
    }
}
