// @vitest-environment happy-dom
import { flushSync, mount, unmount } from "svelte";
import { afterEach, expect, it } from "vitest";
import FilterField from "./FilterField.svelte";

let shown: Record<string, unknown> | null = null;
afterEach(async () => {
  if (shown) await unmount(shown);
  shown = null;
});

function field(q: string): { input: HTMLInputElement; applied: string[] } {
  const applied: string[] = [];
  const props = { q, wrong: null, onapply: (text: string) => applied.push(text) };
  shown = mount(FilterField, { target: document.body, props });
  flushSync();
  const input = document.querySelector<HTMLInputElement>('[data-testid="filter-input"]');
  if (!input) throw new Error("no field");
  return { input, applied };
}

function press(input: HTMLInputElement, init: KeyboardEventInit): void {
  input.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, key: "Enter", ...init }));
  flushSync();
}

function type(input: HTMLInputElement, text: string): void {
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  flushSync();
}

it("applies with Enter, but not with the Enter that ends a composition", () => {
  const { input, applied } = field("");
  type(input, " 東京 ");
  press(input, { isComposing: true });
  press(input, { keyCode: 229 });
  expect(applied).toEqual([]);
  press(input, {});
  expect(applied).toEqual(["東京"]);
});

it("gives up what was typed with Escape", () => {
  const { input, applied } = field("status:error");
  type(input, "something else");
  press(input, { key: "Escape" });
  expect(input.value).toBe("status:error");
  expect(applied).toEqual([]);
});
