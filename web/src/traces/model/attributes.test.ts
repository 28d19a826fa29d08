import { describe, expect, it } from "vitest";
import { attributeRows, matching } from "./attributes";
import { span, timings } from "./testing";

const rows = attributeRows(
  span(1, null, {
    http_status: 200,
    timings: timings({ load_ns: 5 }),
    attributes: { "andon.threads": 2, "andon.note": "Warm" },
  }),
);

describe("the attributes of a span", () => {
  it("are all that is known and nothing that is not", () => {
    const names = rows.map((row) => row.name);
    expect(names).toContain("http_status");
    expect(names).toContain("load_ns");
    expect(names).toContain("andon.threads");
    expect(names).not.toContain("eval_ns");
    expect(names).not.toContain("attributes");
  });

  it("are found by words in name and value", () => {
    expect(matching(rows, "andon warm").map((row) => row.name)).toEqual(["andon.note"]);
    expect(matching(rows, "")).toHaveLength(rows.length);
    expect(matching(rows, "nowhere")).toEqual([]);
  });
});
