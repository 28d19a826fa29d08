import { describe, expect, it } from "vitest";
import type { Content } from "../../api/types";
import { inOrder, keptText } from "./masked";
import { id, TRACE } from "./testing";

const content = (more: Partial<Content>): Content => ({
  trace_id: TRACE,
  span_id: id(1),
  time_ns: 0,
  part: "input",
  role: "user",
  idx: 0,
  text: "",
  policy: "mask:10",
  original_length: 0,
  kept_length: 0,
  ...more,
});

describe("a kept text", () => {
  it("is parted from its notice by characters, not by UTF-16 units", () => {
    const text = keptText(
      content({ text: "次の𠮷野家について[…]", kept_length: 9, original_length: 142 }),
    );
    expect(text).toEqual({
      kept: "次の𠮷野家について",
      lost: { from: 10, original: 142, policy: "mask:10" },
    });
  });

  it("says nothing of a loss where there was none", () => {
    expect(keptText(content({ text: "日本", kept_length: 2, original_length: 2 })).lost).toBeNull();
    expect(keptText(content({ text: "", policy: "none", original_length: 5 }))).toEqual({
      kept: "",
      lost: { from: 1, original: 5, policy: "none" },
    });
  });

  it("comes in the order of the conversation", () => {
    const parts = inOrder([
      content({ part: "output" }),
      content({ part: "input", idx: 1 }),
      content({ part: "system" }),
      content({ part: "input", idx: 0 }),
    ]);
    expect(parts.map((part) => `${part.part} ${part.idx}`)).toEqual([
      "system 0",
      "input 0",
      "input 1",
      "output 0",
    ]);
  });
});
