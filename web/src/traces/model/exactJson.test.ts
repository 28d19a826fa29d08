import { describe, expect, it } from "vitest";
import { formatExact, parseExact, spanText } from "./exactJson";

describe("JSON as stored", () => {
  it("keeps every digit of a time in nanoseconds", () => {
    const text = '{"start_ns":1764033933123456789,"share":0.1234567890123456789,"small":42}';
    expect(formatExact(parseExact(text))).toContain('"start_ns": 1764033933123456789');
    expect(formatExact(parseExact(text))).toContain('"small": 42');
  });

  it("leaves numbers within strings alone", () => {
    const text =
      '{"a":"say \\"1764033933123456789\\" 12345678901234567890","b":[12345678901234567890]}';
    expect(formatExact(parseExact(text))).toContain(
      '"say \\"1764033933123456789\\" 12345678901234567890"',
    );
    expect(formatExact(parseExact(text))).toMatch(/^ +12345678901234567890$/m);
  });

  it("finds a span", () => {
    expect(spanText('{"spans":[{"span_id":"a"},{"span_id":"b","x":1}]}', "b")).toContain('"x": 1');
    expect(spanText('{"spans":[]}', "b")).toBeNull();
  });
});
