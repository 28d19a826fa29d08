// What a key does in the tree of spans, as people know it from file managers.

import type { SpanNode } from "./tree";

export interface Step {
  select?: string;
  toggle?: string;
}

const PAGE = 15;

export function treeKey(
  key: string,
  rows: readonly SpanNode[],
  selectedId: string,
  collapsed: ReadonlySet<string>,
): Step | null {
  const at = rows.findIndex((row) => row.span.span_id === selectedId);
  const node = rows[at];
  const move = (to: number): Step | null => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, to))];
    return row ? { select: row.span.span_id } : null;
  };
  if (!node) return key.startsWith("Arrow") || key === "Home" ? move(0) : null;
  const open = node.children.length > 0 && !collapsed.has(selectedId);
  switch (key) {
    case "ArrowDown":
      return move(at + 1);
    case "ArrowUp":
      return move(at - 1);
    case "PageDown":
      return move(at + PAGE);
    case "PageUp":
      return move(at - PAGE);
    case "Home":
      return move(0);
    case "End":
      return move(rows.length - 1);
    case "ArrowRight":
      if (open) return move(at + 1);
      return node.children.length > 0 ? { toggle: selectedId } : null;
    case "ArrowLeft":
      if (open) return { toggle: selectedId };
      return moveToParent(rows, at);
    case "Enter":
    case " ":
      return node.children.length > 0 ? { toggle: selectedId } : null;
    default:
      return null;
  }
}

function moveToParent(rows: readonly SpanNode[], at: number): Step | null {
  const depth = rows[at]?.depth ?? 0;
  for (let i = at - 1; i >= 0; i -= 1) {
    const row = rows[i];
    if (row && row.depth < depth) return { select: row.span.span_id };
  }
  return null;
}
