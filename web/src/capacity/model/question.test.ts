import { describe, expect, it } from "vitest";
import {
  NO_QUESTION,
  PARALLEL,
  readQuestion,
  typed,
  WAIT,
  writeQuestion,
  type Question,
} from "./question";

const written = (question: Question): URLSearchParams => {
  const params = new URLSearchParams();
  writeQuestion(params, question);
  return params;
};

describe("a question in the address", () => {
  it("is read as it was written", () => {
    const all: Question = {
      runtime: "llama-server",
      speed: "read",
      wait: 2.5,
      pause: 60,
      parallel: 4,
      keep: "-1",
      slots: 1,
      model: "qwen3:8b",
      threads: 8,
      one: "a b",
      other: "モデル",
    };
    expect(readQuestion(written(all))).toEqual(all);
    expect(readQuestion(new URLSearchParams())).toEqual(NO_QUESTION);
  });

  it("is as short as it can be", () => {
    expect(written(NO_QUESTION).toString()).toBe("");
    expect(written({ ...NO_QUESTION, wait: 10 }).toString()).toBe("");
    expect(written({ ...NO_QUESTION, keep: "30m" }).toString()).toBe("keep=30m");
  });

  it("leaves out what the server would refuse", () => {
    const given = new URLSearchParams(
      "speed=light&wait=0&pause=x&parallel=65&slots=1.5&threads=0&keep=1y&model=",
    );
    expect(readQuestion(given)).toEqual(NO_QUESTION);
  });
});

describe("what is typed", () => {
  it("is a number in bounds, nothing, or no answer", () => {
    expect(typed("", WAIT)).toBeNull();
    expect(typed(" 3.5 ", WAIT)).toBe(3.5);
    expect(typed("600", WAIT)).toBe(600);
    expect(typed("2", PARALLEL)).toBe(2);
    for (const wrong of ["0", "601", "-1", "1e2", "0x10", "2,5", "soon", "."]) {
      expect(typed(wrong, WAIT), wrong).toBeUndefined();
    }
    expect(typed("2.5", PARALLEL)).toBeUndefined();
  });

  it("may be as wide as Japanese keyboards write it", () => {
    expect(typed("１２．５", WAIT)).toBe(12.5);
  });
});
