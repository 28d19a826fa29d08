// What is made to go wrong, and how much of it. Each gives what Andon said, the causes that are right, and
// for some what the cause cost in truth: as the runtime itself measured it, or as it was injected.
import { ordinary } from "./scenarios/common.mjs";
import { FAILURES } from "./scenarios/failures.mjs";
import { LOADS } from "./scenarios/loads.mjs";
import { MACHINE } from "./scenarios/machine.mjs";
import { WAYS } from "./scenarios/ways.mjs";
import { WORK } from "./scenarios/work.mjs";

export { ordinary };

export const SCENARIOS = {
  async normal(world, random) {
    return { said: await world.call(ordinary(random)), right: ["none"] };
  },
  ...LOADS,
  ...WORK,
  ...MACHINE,
  ...WAYS,
  ...FAILURES,
};

/** Those that need a control group around the runtime. */
const IN_A_GROUP = ["slow disk", "memory pressure", "out of memory", "throttled", "swap"];
const WITH_SWAP = ["swap"];

/** Why a scenario cannot be made here; `null` where it can. */
export function whyNot(name, world) {
  if (IN_A_GROUP.includes(name) && !world.group) return "no control group can be made here";
  if (WITH_SWAP.includes(name)) return world.noSwap;
  return null;
}

/** Causes as they are named in a table: what passed before the model, then its phases, then failures. */
export const ORDER = [
  "none",
  "slow_app",
  "network",
  "queue",
  "cold_start",
  "keep_alive_expired",
  "evicted",
  "options_changed",
  "slow_disk",
  "long_prompt",
  "prompt_cache_lost",
  "long_answer",
  "cpu_starved",
  "throttled",
  "memory_pressure",
  "parallel_generation",
  "steal",
  "partly_on_cpu",
  "timeout",
  "client_gone",
  "runtime_down",
  "out_of_memory",
  "model_missing",
  "queue_full",
  "context_exceeded",
  "prompt_cut",
  "unknown",
];
