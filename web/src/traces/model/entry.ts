// The span that says what a trace was: the first request that reached a server, since the browser's
// own span around it only knows that something was clicked.

import type { SpanNode, TraceTree } from "./tree";

export function entrySpan(tree: TraceTree): SpanNode | null {
  let best: SpanNode | null = null;
  for (const node of tree.byId.values()) {
    if (node.span.kind !== "server") continue;
    if (
      !best ||
      node.depth < best.depth ||
      (node.depth === best.depth && node.startNs < best.startNs)
    ) {
      best = node;
    }
  }
  return best ?? tree.roots[0] ?? null;
}
