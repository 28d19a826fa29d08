import { expect, test } from "vitest";
import { span } from "./testing";
import { toldTokens } from "./told";

test("a span whose call counts elsewhere still says what it was told", () => {
  const attributes = { "gen_ai.usage.input_tokens": 26, "andon.counted_in": "a span within" };
  const told = toldTokens(span(1, null, { attributes, input_tokens: null, output_tokens: null }));
  expect(told).toMatchObject({ input: 26, output: null, elsewhere: true });
  const counted = toldTokens(span(1, null, { input_tokens: 7, attributes: {} }));
  expect(counted).toMatchObject({ input: 7, elsewhere: false });
});
