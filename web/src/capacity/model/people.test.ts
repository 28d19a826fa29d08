import { describe, expect, it } from "vitest";
import { nearest, peopleChart, peoplePath, pointOf } from "./people";
import { people, peoplePoint } from "./testing";

const points = [1, 2, 4, 8, 16, 18, 19, 32].map((number) => peoplePoint(number, number * 0.55));

describe("the chart of people", () => {
  it("reaches to the most people that were tried, and marks for whom it is enough", () => {
    const chart = peopleChart(people(points, { most: 18 }));
    expect(chart).toMatchObject({ right: 32, enough: 18 / 32 });
    expect(chart && chart.limit * chart.upwards.top).toBe(10e9);
    expect(chart?.across.every((mark) => mark <= 32)).toBe(true);
  });

  it("has the limit in the picture, however far from it the curve is", () => {
    const far = peopleChart(people([peoplePoint(1, 0.1), peoplePoint(2, 0.2)], { most: 2 }));
    expect(far?.limit).toBeLessThan(0.8);
    const above = peopleChart(people([peoplePoint(1, 5), peoplePoint(64, 900)], { most: 1 }));
    expect(above?.limit).toBeGreaterThan(0.3);
  });

  it("is none where there is nothing to draw", () => {
    expect(peopleChart(people([]))).toBeNull();
    expect(peopleChart(people([peoplePoint(1, 99)], { most: 0 }))).toBeNull();
  });

  it("marks nobody where it is too slow for one", () => {
    expect(peopleChart(people(points, { most: 0 }))?.enough).toBeNull();
  });

  it("draws each point where it is", () => {
    const chart = peopleChart(people(points));
    if (!chart) throw new Error("no chart");
    const path = peoplePath(points, (point) => point.first_p90_ns, chart, 320);
    const found = [...path.matchAll(/[ML]([\d.]+) (-?[\d.]+)/g)];
    expect(found.map(([, x]) => Number(x))).toEqual(points.map((point) => point.people * 10));
    expect(Number(found[0]?.[2])).toBeCloseTo(100 * (1 - 0.55e9 / chart.upwards.top), 1);
  });

  it("finds the point under the pointer", () => {
    expect(nearest(points, 0, 32)?.people).toBe(1);
    expect(nearest(points, 0.5, 32)?.people).toBe(16);
    expect(nearest(points, 1, 32)?.people).toBe(32);
    expect(nearest([], 1, 32)).toBeNull();
  });
});

describe("how it is then", () => {
  it("is told of the most, and of one where it is enough for nobody", () => {
    expect(pointOf(people(points, { most: 18 }))?.people).toBe(18);
    expect(pointOf(people(points, { most: 0 }))?.people).toBe(1);
    expect(pointOf(people([], { most: null }))).toBeNull();
  });
});
