import { IDBFactory } from "fake-indexeddb";
import { describe, expect, it } from "vitest";
import { addAnswer, newAnswer, newConversation } from "./conversation";
import { afterReload, openStorage } from "./storage";

const conversation = (id: string, updatedMs: number) => ({
  ...newConversation(id, 0, null),
  updatedMs,
});

describe("storage", () => {
  it("gives conversations back, newest first, over a reopening", async () => {
    const factory = new IDBFactory();
    const first = await openStorage(factory);
    await first.put(conversation("old", 1));
    await first.put(conversation("new", 2));
    const second = await openStorage(factory);
    expect((await second.all()).map((kept) => kept.id)).toEqual(["new", "old"]);
  });

  it("replaces by id and removes", async () => {
    const storage = await openStorage(new IDBFactory());
    await storage.put(conversation("a", 1));
    await storage.put({ ...conversation("a", 5), title: "renamed" });
    expect(await storage.all()).toMatchObject([{ id: "a", title: "renamed" }]);
    await storage.remove("a");
    expect(await storage.all()).toEqual([]);
  });

  it("drops the oldest beyond its limit, never the one just saved", async () => {
    const storage = await openStorage(new IDBFactory(), 3);
    for (const [index, id] of ["a", "b", "c", "d", "e"].entries()) {
      await storage.put(conversation(id, index));
    }
    expect((await storage.all()).map((kept) => kept.id)).toEqual(["e", "d", "c"]);
  });

  it("says when it cannot be opened", async () => {
    const factory = {
      open: () => {
        throw new DOMException("blocked", "SecurityError");
      },
    } as unknown as IDBFactory;
    await expect(openStorage(factory)).rejects.toThrow("blocked");
  });
});

it("an answer that was on its way when the page was left comes back as stopped", () => {
  const left = conversation("a", 1);
  left.turns.push({ id: "t", question: "q", answers: [], shown: 0 });
  const turn = left.turns[0];
  if (!turn) throw new Error("no turn");
  addAnswer(turn, { ...newAnswer("t", 0, false), state: "done" });
  addAnswer(turn, newAnswer("t", 0, false));
  const states = afterReload(left).turns[0]?.answers.map((answer) => answer.state);
  expect(states).toEqual(["done", "stopped"]);
});
