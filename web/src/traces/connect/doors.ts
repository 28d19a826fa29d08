// Which doors a recipe's telemetry comes by, and when something came last.

import type { Connection, IntakeDoor } from "../../api/types";

const NS_PER_MS = 1e6;

/** When the last span came by a recipe's doors, in milliseconds since 1970; null: none yet. */
export function lastSpanMs(doors: readonly IntakeDoor[], door: Connection["door"]): number | null {
  const times = doors
    .filter(({ protocol }) => protocol.startsWith(door))
    .flatMap(({ last_span_ns }) => (last_span_ns === null ? [] : [last_span_ns / NS_PER_MS]));
  return times.length > 0 ? Math.max(...times) : null;
}

/** Recipes by their doors, in the order in which the server lists them. */
export function byDoor(recipes: readonly Connection[]): [Connection["door"], Connection[]][] {
  const groups = new Map<Connection["door"], Connection[]>();
  for (const recipe of recipes) {
    groups.set(recipe.door, [...(groups.get(recipe.door) ?? []), recipe]);
  }
  return [...groups];
}

/** How long ago something was, in whole seconds: it is looked at every other one. */
export function agoMs(now: number, then: number): number {
  return Math.max(0, Math.round((now - then) / 1_000)) * 1_000;
}
