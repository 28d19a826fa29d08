// Waiting for states. A test never sleeps to let something happen: it asks until it is so, and says
// what it waited for when it never is.
import { setTimeout as pause } from "node:timers/promises";

/** Long enough for a busy two-core machine; a test that passes never waits this long. */
export const PATIENCE_MS = 60_000;
const STEP_MS = 50;

/**
 * Asks `check` until it gives something true, and returns that. A check that throws is asked
 * again; its last error becomes part of the message.
 */
export async function until(what, check, patienceMs = PATIENCE_MS) {
  const end = Date.now() + patienceMs;
  let last;
  do {
    try {
      const found = await check();
      if (found) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await pause(STEP_MS);
  } while (Date.now() < end);
  const reason = last ? `: ${last.message}` : "";
  throw new Error(`waited ${patienceMs / 1000} s in vain until ${what}${reason}`, { cause: last });
}

/** Fails when `promise` takes longer than the patience, so that nothing hangs a whole run. */
export async function within(what, promise, patienceMs = PATIENCE_MS) {
  const giveUp = new AbortController();
  const late = pause(patienceMs, undefined, { signal: giveUp.signal }).then(() => {
    throw new Error(`${what} took longer than ${patienceMs / 1000} s`);
  });
  late.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    giveUp.abort();
  }
}
