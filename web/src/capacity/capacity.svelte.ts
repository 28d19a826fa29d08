// What the page asks the server. All answers rest on the same calls: those of the times and the
// runtime that the first one is of. None is asked for again by itself, since a simulation takes a
// second of the machine whose calls it is about.

import { getCapacity, getPeople, getWhatIf } from "../api/client";
import type { CapacityReply, People, WhatIf } from "../api/types";
import { Asked } from "../overview/asked.svelte";
import { endedTimes, type CapacityRoute, type Stretch } from "../traces/route";
import type { Question } from "./model/question";

/** Which calls a page is about. */
export type CallsOf = Pick<CapacityRoute, "range" | "stretch"> & Pick<Question, "runtime">;

/** Which calls they were. */
export interface Calls {
  asked: Stretch;
  runtime: string;
}

// Not by way of nanoseconds, which a number holds only nearly: a millisecond would go missing.
const times = ({ fromMs, toMs }: Stretch): { from: string; to: string } => ({
  from: new Date(fromMs).toISOString(),
  to: new Date(toMs).toISOString(),
});

/** What is null is not asked for, and stays as the server has it. */
function given<Query extends object>(
  query: Query,
): { [Name in keyof Query]?: NonNullable<Query[Name]> } {
  const known = Object.entries(query).filter(([, value]) => value !== null);
  return Object.fromEntries(known) as { [Name in keyof Query]?: NonNullable<Query[Name]> };
}

export interface CapacityAnswer {
  /** The times that were asked for. */
  asked: Stretch;
  capacity: CapacityReply;
}

export class CapacityData extends Asked<CallsOf, CapacityAnswer> {
  protected override async ask(
    { runtime, ...of }: CallsOf,
    _points: number,
    signal: AbortSignal,
  ): Promise<CapacityAnswer> {
    const asked = endedTimes(of, Date.now());
    return {
      asked,
      capacity: await getCapacity({ ...times(asked), ...given({ runtime }) }, signal),
    };
  }
}

export type PeopleAsk = Calls & Pick<Question, "wait" | "pause" | "parallel">;

export class PeopleData extends Asked<PeopleAsk, { people: People }> {
  protected override async ask(
    { asked, runtime, wait: wait_s, pause: think_s, parallel }: PeopleAsk,
    _points: number,
    signal: AbortSignal,
  ): Promise<{ people: People }> {
    const query = { ...times(asked), runtime, ...given({ wait_s, think_s, parallel }) };
    return { people: await getPeople(query, signal) };
  }
}

export type WhatIfAsk = Calls & Pick<Question, "keep" | "slots" | "model" | "threads">;

export class WhatIfData extends Asked<WhatIfAsk, { whatIf: WhatIf }> {
  protected override async ask(
    { asked, runtime, keep: keep_alive, slots: parallel, model, threads }: WhatIfAsk,
    _points: number,
    signal: AbortSignal,
  ): Promise<{ whatIf: WhatIf }> {
    const query = { ...times(asked), runtime, ...given({ keep_alive, parallel, model, threads }) };
    return { whatIf: await getWhatIf(query, signal) };
  }
}
