// @vitest-environment happy-dom
import { IDBFactory } from "fake-indexeddb";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { Library } from "./library.svelte";
import { openStorage } from "./storage";

beforeEach(() => {
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.stubGlobal("BroadcastChannel", undefined);
  history.replaceState(null, "", "/");
});

async function start(): Promise<Library> {
  const library = new Library(() => false);
  await library.start();
  return library;
}

const ask = (library: Library, question: string): void => {
  library.enlist(library.open, question);
  library.open.turns.push({ id: question, question, answers: [], shown: 0 });
  library.touch(library.open);
};

const stored = async () => (await openStorage()).all();

describe("the library", () => {
  it("lists a conversation from its first question on, and keeps it", async () => {
    const library = await start();
    expect(library.list).toHaveLength(0);
    ask(library, "What is a trace?");
    expect(library.list).toHaveLength(1);
    expect(location.search).toBe(`?c=${library.open.id}`);
    library.flush();
    await vi.waitFor(async () =>
      expect(await stored()).toMatchObject([{ title: "What is a trace?" }]),
    );

    const again = await start();
    expect(again.open.turns[0]?.question).toBe("What is a trace?");
  });

  it("brings the conversation that was asked last to the top", async () => {
    const library = await start();
    ask(library, "one");
    library.startNew();
    ask(library, "two");
    expect(library.list.map((kept) => kept.title)).toEqual(["two", "one"]);
    const one = library.list[1];
    if (!one) throw new Error("no second conversation");
    library.show(one.id);
    library.touch(library.open);
    expect(library.list.map((kept) => kept.title)).toEqual(["one", "two"]);
  });

  it("keeps the reader's own name over that of the first question", async () => {
    const library = await start();
    ask(library, "one");
    library.rename(library.open, "  mine ");
    library.rename(library.open, "   ");
    expect(library.open.title).toBe("mine");
  });

  it("removes for good, also what waits to be saved", async () => {
    const library = await start();
    ask(library, "gone");
    await library.remove(library.open);
    library.flush();
    expect(library.list).toHaveLength(0);
    expect(library.open.turns).toHaveLength(0);
    expect(await stored()).toEqual([]);
  });

  it("works, and says so, where the browser keeps nothing", async () => {
    vi.stubGlobal("indexedDB", {
      open: () => {
        throw new DOMException("blocked", "SecurityError");
      },
    });
    const library = await start();
    expect(library.keeps).toBe(false);
    ask(library, "still");
    expect(library.open.turns[0]?.question).toBe("still");
  });
});
