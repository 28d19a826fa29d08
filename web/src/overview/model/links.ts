// From a figure to the traces behind it: addresses of the list.

import {
  DEFAULT_RANGE,
  RANGES,
  type ListRoute,
  type OverviewRoute,
  type Stretch,
} from "../../traces/route";

/** A value in quotes is the whole field: `model:"gemma3"` is not `gemma3:270m`. */
export function exactTerm(key: "model" | "service", value: string): string {
  return `${key}:"${value.replace(/["\\]/g, "\\$&")}"`;
}

/**
 * The traces that began at a service. Those of Andon's own page began in the browser, but the list
 * names them by the gateway that took them.
 */
export function beganAt(service: string): string {
  return exactTerm("service", service === "browser" ? "gateway" : service);
}

/** A filter that is met by what meets both. */
export function narrowed(q: string, term: string): string {
  const kept = q.trim();
  if (` ${kept} `.includes(` ${term} `)) return kept;
  return kept === "" ? term : `${kept} ${term}`;
}

/** The list of the same times. It has no 30 days, and a stretch is as good there. */
export function listOf(route: OverviewRoute, asked: Stretch, q: string): ListRoute {
  const range = RANGES.find((known) => known === route.range);
  if (!route.stretch && range) return { page: "list", q, range, stretch: null };
  return listAt(route.stretch ?? asked, q);
}

export function listAt(stretch: Stretch, q: string): ListRoute {
  return { page: "list", q, range: DEFAULT_RANGE, stretch };
}

/** Three figures are enough to read, and rounded down they lose nothing. */
function atLeast(ns: number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(ns)) - 2);
  const rounded = Math.floor(ns / unit) * unit;
  return rounded >= 1e9 ? `${rounded / 1e9}s` : `${rounded / 1e6}ms`;
}

/**
 * The traces behind a row of the heat map. A trace lasts at least as long as each call in it, so
 * the lower bound holds for all of them; an upper one would lose the calls of agents.
 */
export function slowerThan(q: string, fromNs: number): string {
  return fromNs <= 0 ? q : narrowed(q, `duration:>=${atLeast(fromNs)}`);
}
