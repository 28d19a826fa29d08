// All that a span knows, as rows of name and value.

import type { Span } from "../../api/types";

export interface Row {
  name: string;
  value: string;
  /** A column of the `spans` table rather than an attribute. */
  column: boolean;
}

/** Columns that hold others; their parts are rows of their own. */
const NESTED = new Set(["attributes", "timings"]);
/** The answer stands in words above it all. */
const TOLD = new Set(["andon.diagnosis"]);

function rowsOf(fields: object, column: boolean): Row[] {
  return Object.entries(fields)
    .filter(
      ([name, value]) =>
        value !== null &&
        value !== undefined &&
        value !== "" &&
        !NESTED.has(name) &&
        !TOLD.has(name),
    )
    .map(([name, value]) => ({ name, value: String(value), column }));
}

export function attributeRows(span: Span): Row[] {
  return [...rowsOf(span, true), ...rowsOf(span.timings, true), ...rowsOf(span.attributes, false)];
}

/** Rows that hold every word, in name or value. */
export function matching(rows: readonly Row[], text: string): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    const all = `${row.name} ${row.value}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}
