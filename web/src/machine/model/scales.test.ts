import { describe, expect, it } from "vitest";
import { heldScale, rateScale, wholeScale } from "./scales";
import { mark } from "./words";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

describe("a scale", () => {
  it("ends at exactly what there is", () => {
    expect(wholeScale(2)).toEqual({ top: 2, marks: [1, 2] });
    expect(wholeScale(1)).toEqual({ top: 1, marks: [0.5, 1] });
    expect(wholeScale(64)).toEqual({ top: 64, marks: [32, 64] });
    expect(wholeScale(23.5 * GIB).marks).toEqual([8 * GIB, 16 * GIB, 23.5 * GIB]);
    // 8 GiB less what the kernel keeps: no mark just below the top.
    expect(wholeScale(7.7 * GIB).marks).toEqual([4 * GIB, 7.7 * GIB]);
    expect(wholeScale(0)).toEqual({ top: 1, marks: [] });
  });

  it("of rates ends above the greatest, and lets a quiet disk be flat", () => {
    expect(rateScale(5 * MIB)).toEqual({ top: 6 * MIB, marks: [2 * MIB, 4 * MIB, 6 * MIB] });
    expect(rateScale(MIB)).toEqual({ top: MIB, marks: [MIB / 2, MIB] });
    expect(rateScale(0).top).toBe(64 * 1024);
  });

  it("of power ends at what holds it, unless that was passed", () => {
    expect(heldScale(450, 300)).toEqual({ top: 450, marks: [200, 450] });
    expect(heldScale(300, 310).top).toBe(400);
    expect(heldScale(0, 80)).toEqual({ top: 100, marks: [50, 100] });
  });

  it("is marked as short as it is round", () => {
    expect(mark("bytes", 8 * GIB, "en")).toBe("8 GiB");
    expect(mark("rate", 1.5 * MIB, "ja")).toBe("1.5 MiB/秒");
    expect(mark("cores", 0.5, "en")).toBe("0.5");
    expect(mark("share", 0.5, "en")).toBe("50 %");
    expect(mark("watts", 200, "en")).toBe("200 W");
    expect(mark("watts", 2, "ja")).toBe("2 W");
    expect(mark("celsius", 50, "en")).toBe("50 °C");
  });
});
