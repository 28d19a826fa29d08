// The names of causes, as the server has them (`Cause` in the model of the data).

import type { Cause } from "../../api/types";

export const CAUSES = [
  "none",
  "cold_start",
  "keep_alive_expired",
  "evicted",
  "options_changed",
  "queue",
  "long_prompt",
  "prompt_cache_lost",
  "long_answer",
  "cpu_starved",
  "steal",
  "throttled",
  "memory_pressure",
  "partly_on_cpu",
  "slow_disk",
  "parallel_generation",
  "network",
  "slow_app",
  "timeout",
  "runtime_down",
  "out_of_memory",
  "model_missing",
  "queue_full",
  "client_gone",
  "context_exceeded",
  "prompt_cut",
  "unknown",
] as const satisfies readonly Cause[];

export type CauseName = Cause;

/** A name of the list, or null for one that this page does not know (a newer server). */
export function knownCause(name: string | null | undefined): CauseName | null {
  return CAUSES.find((cause) => cause === name) ?? null;
}

const FAILURES: ReadonlySet<CauseName> = new Set([
  "timeout",
  "runtime_down",
  "out_of_memory",
  "model_missing",
  "queue_full",
  "client_gone",
  "context_exceeded",
]);

export function isFailure(cause: CauseName): boolean {
  return FAILURES.has(cause);
}
