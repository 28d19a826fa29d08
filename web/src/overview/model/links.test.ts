import { describe, expect, it } from "vitest";
import { parseTerms } from "../../traces/model/filter";
import { EMPTY_OVERVIEW, routeHref } from "../../traces/route";
import { beganAt, exactTerm, listAt, listOf, narrowed, slowerThan } from "./links";

const ASKED = { fromMs: 1_700_000_000_000, toMs: 1_702_592_000_000 };

describe("a row's filter", () => {
  it("names the whole value, whatever is in it", () => {
    for (const value of ["gemma3:270m", "a b", 'say "x"', "back\\slash", "東京"]) {
      const term = exactTerm("model", value);
      expect(term.startsWith('model:"')).toBe(true);
      expect(parseTerms(term)).toEqual([{ negated: false, key: "model", value }]);
    }
  });

  it("names traces that began in the browser as the list does", () => {
    expect(beganAt("browser")).toBe('service:"gateway"');
    expect(beganAt("open-webui")).toBe('service:"open-webui"');
  });

  it("keeps what was filtered by, word for word", () => {
    expect(narrowed("", "cause:queue")).toBe("cause:queue");
    expect(narrowed(' service:"a" -status:error ', "cause:queue")).toBe(
      'service:"a" -status:error cause:queue',
    );
    expect(narrowed("slow cause:queue", "cause:queue")).toBe("slow cause:queue");
    expect(narrowed("-cause:queue", "cause:queue")).toBe("-cause:queue cause:queue");
  });
});

describe("the list behind a figure", () => {
  it("is of the same times", () => {
    const list = listOf({ ...EMPTY_OVERVIEW, range: "7d" }, ASKED, "cause:queue");
    expect(list).toEqual({ page: "list", q: "cause:queue", range: "7d", stretch: null });
    const stretch = { fromMs: 5, toMs: 9 };
    expect(listOf({ ...EMPTY_OVERVIEW, stretch }, ASKED, "").stretch).toEqual(stretch);
  });

  it("is of a stretch where the list has no such range", () => {
    expect(listOf({ ...EMPTY_OVERVIEW, range: "30d" }, ASKED, "").stretch).toEqual(ASKED);
  });

  it("of a cell has its times and all that took as long", () => {
    expect(routeHref(listAt(ASKED, slowerThan("model:x", 2_500_000_000)))).toBe(
      "/andon/traces?q=model%3Ax+duration%3A%3E%3D2.5s" +
        "&from=2023-11-14T22%3A13%3A20.000Z&to=2023-12-14T22%3A13%3A20.000Z",
    );
    expect(slowerThan("", 316_927_766)).toBe("duration:>=316ms");
    expect(slowerThan("", 9_967_684_238)).toBe("duration:>=9.96s");
    expect(slowerThan("", 1_234)).toBe("duration:>=0.00123ms");
    expect(slowerThan("model:x", 0)).toBe("model:x");
  });
});
