/** Text must be readable on what lies below it: WCAG AA, 4.5:1, in both themes. */
import { describe, expect, it } from "vitest";
import tokens from "./tokens.css?raw";

type Theme = Record<string, string>;

function declarations(block: string): Theme {
  return Object.fromEntries(
    [...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/gu)].map((match) => [match[1], match[2]]),
  );
}

function block(selector: string): Theme {
  const start = tokens.indexOf(selector);
  if (start < 0) throw new Error(`no ${selector} in tokens.css`);
  return declarations(tokens.slice(start, tokens.indexOf("}", start)));
}

const light = block(":root {");
const themes: Record<string, Theme> = {
  light,
  "dark, as the system": { ...light, ...block(':root:not([data-theme="light"]) {') },
  "dark, chosen": { ...light, ...block(':root[data-theme="dark"] {') },
};

function luminance(color: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [dark, bright] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [
    number,
    number,
  ];
  return (bright + 0.05) / (dark + 0.05);
}

const grounds = ["paper", "panel", "sunken"];
const pairs: [text: string, ground: string][] = [
  ...["queue", "load", "prompt", "generate", "app"].map((phase): [string, string] => [
    `on-${phase}`,
    phase,
  ]),
  ...["ink", "ink-2", "ink-3", "lamp", "error", "ok", "warn"].flatMap((ink) =>
    grounds.map((ground): [string, string] => [ink, ground]),
  ),
  ...["queue-ink", "load-ink", "prompt-ink", "generate-ink"].flatMap((ink) =>
    grounds.map((ground): [string, string] => [ink, ground]),
  ),
  ["lamp", "lamp-wash"],
  ["ink", "lamp-wash"],
  ["on-lamp", "lamp"],
  ["error", "error-wash"],
  ["ink", "error-wash"],
  ["ink-2", "error-wash"],
  ["ok", "ok-wash"],
  ["ink", "ok-wash"],
  ["ink-2", "ok-wash"],
  ["warn", "warn-wash"],
];

describe.each(Object.entries(themes))("%s", (_name, theme) => {
  it.each(pairs)("--%s on --%s", (text, ground) => {
    const [front, back] = [theme[text], theme[ground]];
    if (!front || !back) throw new Error(`--${text} or --${ground} is not a plain colour`);
    expect(contrast(front, back)).toBeGreaterThanOrEqual(4.5);
  });
});

it("has the same dark colours for the system's theme and the chosen one", () => {
  expect(themes["dark, chosen"]).toEqual(themes["dark, as the system"]);
});
