// Which spans are folded, as sets that are replaced and never changed in place.

import type { SpanNode, TraceTree } from "./tree";

export type Folded = ReadonlySet<string>;

export const NONE_FOLDED: Folded = new Set();

export function toggled(folded: Folded, spanId: string): Folded {
  const next = new Set(folded);
  if (!next.delete(spanId)) next.add(spanId);
  return next;
}

export function allFolded(parents: readonly SpanNode[]): Folded {
  return new Set(parents.map((node) => node.span.span_id));
}

/** Opens what lies above a span; the same set where nothing was folded there. */
export function openedAbove(folded: Folded, tree: TraceTree, spanId: string): Folded {
  const next = new Set(folded);
  let parent = tree.byId.get(spanId)?.span.parent_id;
  // As many steps as there are spans: a ring of parents ends too.
  for (let step = 0; parent && step < tree.byId.size; step += 1) {
    next.delete(parent);
    parent = tree.byId.get(parent)?.span.parent_id;
  }
  return next.size < folded.size ? next : folded;
}
