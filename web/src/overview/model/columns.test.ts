import { expect, it } from "vitest";
import { cellText, COLUMNS, type Column } from "./columns";
import { figures, spread } from "./testing";

const total = figures({ count: 40 });
const row = figures({
  count: 1234,
  errors: 3,
  input_tokens: 1_234_567,
  output_tokens: 800,
  tokens_per_s: 22.04,
  duration: spread(2e9, 29.6e9),
  ttft: spread(1e8, 8.1e9),
});
const cells = (columns: Column[], of = row) =>
  columns.map((column) => cellText(column, of, total, "en"));

it("each column shows its own figure", () => {
  expect(cells(COLUMNS.models)).toEqual([
    "1,234",
    "3",
    "2.00 s",
    "29.6 s",
    "8.10 s",
    "22.0",
    "1.23M → 800",
  ]);
  expect(cellText("share", figures({ count: 10 }), total, "ja")).toBe("25 %");
});

it("what is not known is a dash, not 0", () => {
  expect(cells(["p50", "p95", "ttft", "speed", "tokens"], figures())).toEqual([
    "–",
    "–",
    "–",
    "–",
    "– → –",
  ]);
  expect(cellText("share", figures(), figures({ count: 0 }), "en")).toBe("–");
});
