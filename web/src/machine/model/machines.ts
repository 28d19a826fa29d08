// Which machines there are to choose from, and what is to be known before their figures are read.

import type { KnownHost } from "../../api/types";

/** It looks once a second and sends at once: a pause of this length is one. */
const SILENT_NS = 60e9;
/** Less than this is the way here, and moves no curve by more than a step. */
const CLOCK_OFF_NS = 2e9;

export interface Choice {
  /** Null for the machine that Andon runs on. */
  name: string | null;
  /** When it was last heard of, by Andon's clock; null while it sends, and where nothing is known. */
  silentSinceNs: number | null;
  /** How far its clock is before Andon's; null where it is right. */
  clockAheadNs: number | null;
}

/**
 * The one that Andon runs on first. A name that sends nothing can be asked for too, by an old link:
 * it is there as well, so that there is a way from it.
 */
export function choices(hosts: readonly KnownHost[], picked: string | null): Choice[] {
  // The one that Andon runs on is looked at when it answers: a reader's clock may be another.
  const nowNs = hosts.find(({ name }) => name === null)?.last_seen_ns ?? null;
  const known = hosts.map((host) => choice(host, nowNs));
  const all = known.some(({ name }) => name === null) ? known : [nothingKnown(null), ...known];
  return all.some(({ name }) => name === picked) ? all : [...all, nothingKnown(picked)];
}

const nothingKnown = (name: string | null): Choice => ({
  name,
  silentSinceNs: null,
  clockAheadNs: null,
});

function choice(host: KnownHost, nowNs: number | null): Choice {
  const ahead = host.clock_ahead_ns ?? 0;
  // The time of its last look is by its own clock.
  const seenNs = host.last_seen_ns - ahead;
  const isSilent = host.name !== null && nowNs !== null && nowNs - seenNs > SILENT_NS;
  return {
    name: host.name,
    silentSinceNs: isSilent ? seenNs : null,
    clockAheadNs: Math.abs(ahead) > CLOCK_OFF_NS ? ahead : null,
  };
}
