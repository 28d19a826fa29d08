// What was kept of a text and what wasn't.

import type { Content } from "../../api/types";

export interface KeptText {
  kept: string;
  /** Null: everything was kept. */
  lost: {
    /** First character that is missing, counted from 1. */
    from: number;
    original: number;
    policy: string;
  } | null;
}

/** Splits a kept text from the notice behind it. Lengths count code points, as the server does. */
export function keptText(content: Content): KeptText {
  const kept = [...content.text].slice(0, content.kept_length).join("");
  if (content.kept_length >= content.original_length) return { kept, lost: null };
  return {
    kept,
    lost: {
      from: content.kept_length + 1,
      original: content.original_length,
      policy: content.policy,
    },
  };
}

const PART_ORDER = ["system", "document", "tool", "input", "thinking", "output", "log"];

/** In the order of a conversation. */
export function inOrder(contents: readonly Content[]): Content[] {
  const place = (content: Content): number => PART_ORDER.indexOf(content.part);
  return [...contents].sort((a, b) => place(a) - place(b) || a.idx - b.idx);
}
