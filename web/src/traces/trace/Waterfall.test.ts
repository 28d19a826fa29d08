// @vitest-environment happy-dom
import { flushSync, mount, unmount } from "svelte";
import { afterEach, describe, expect, it } from "vitest";
import type { Span } from "../../api/types";
import { modelCall } from "../model/llm";
import { id, SECOND, span, timings } from "../model/testing";
import { buildTree } from "../model/tree";
import Waterfall from "./Waterfall.svelte";

let shown: Record<string, unknown> | null = null;
afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
});

function waterfall(spans: Span[], selectedId: string): string[] {
  const chosen: string[] = [];
  const tree = buildTree(spans);
  const props = {
    tree,
    call: modelCall(tree),
    axis: { fromNs: 0, toNs: tree.durationNs },
    selectedId,
    onselect: (spanId: string) => chosen.push(spanId),
    cursorNs: null,
    gutter: 0,
  };
  shown = mount(Waterfall, { target: document.body, props });
  flushSync();
  return chosen;
}

const rows = (): HTMLElement[] => [
  ...document.querySelectorAll<HTMLElement>('[data-testid="span-row"]'),
];

const CHAT = [
  span(1, null, { service: "browser", duration_ns: 9 * SECOND }),
  span(2, 1, { service: "gateway", duration_ns: 9 * SECOND }),
  span(3, 2, {
    service: "runtime",
    llm_kind: "llm",
    status: "error",
    duration_ns: 8 * SECOND,
    timings: timings({ queue_ns: SECOND, load_ns: 3 * SECOND, eval_ns: 2 * SECOND }),
  }),
];

describe("the waterfall", () => {
  it("shows the tree with the phases of the call to the model", () => {
    waterfall(CHAT, id(3));
    expect(rows().map((row) => `${row.dataset["service"]} ${row.dataset["status"]}`)).toEqual([
      "browser ok",
      "gateway ok",
      "runtime error",
    ]);
    const phases = [...(rows()[2]?.querySelectorAll<HTMLElement>("[data-phase]") ?? [])];
    expect(phases.map((part) => part.dataset["phase"])).toEqual([
      "queue",
      "load",
      "generate",
      "other",
    ]);
    expect(rows()[1]?.querySelector("[data-phase]")).toBeNull();
  });

  it("says of a call that goes on that its time is not known", () => {
    const begun = { duration_ns: 0, attributes: { "andon.partial": true } };
    waterfall([...CHAT, span(4, 2, { ...begun, start_ns: SECOND })], id(3));
    const open = rows().find((row) => row.dataset["spanId"] === id(4));
    expect(open?.textContent).toContain("–");
    expect(open?.querySelector(".mark")?.getAttribute("aria-label")).toMatch(/not ended/);
    // Its client may add to a root that has lasted a while.
    expect(rows()[0]?.querySelector(".mark")).toBeNull();
  });

  it("draws a few of 10,000 spans", () => {
    const many = Array.from({ length: 10_000 }, (_, i) =>
      span(i + 1, i === 0 ? null : Math.ceil(i / 4), { start_ns: i * 1e6, duration_ns: 1e9 }),
    );
    waterfall(many, id(1));
    expect(rows().length).toBeGreaterThan(5);
    expect(rows().length).toBeLessThan(100);
  });

  it("chooses with the arrow keys and folds with Enter", () => {
    const chosen = waterfall(CHAT, id(2));
    const tree = document.querySelector("[role=tree]");
    const press = (key: string): void => {
      tree?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      flushSync();
    };
    press("ArrowDown");
    press("ArrowUp");
    expect(chosen).toEqual([id(3), id(1)]);
    press("Enter");
    expect(rows()).toHaveLength(2);
    press("Enter");
    expect(rows()).toHaveLength(3);
  });
});
