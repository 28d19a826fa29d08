import { expect, test } from "vitest";
import { storeNotice } from "./storeNotice";

const store = { healthy: true, message: null };
const none = { queue_full: 0, store_unavailable: 0, unreadable: 0, texts_cut: 0 };

test("nothing is said while nothing is wrong", () => {
  expect(storeNotice({ dropped: none, store })).toBeNull();
  // Such a call is there, and says itself that it was cut.
  expect(storeNotice({ dropped: { ...none, texts_cut: 4 }, store })).toBeNull();
});

test("drops of all causes are added up, and a store that stands still says why", () => {
  expect(storeNotice({ dropped: { ...none, queue_full: 2, unreadable: 3 }, store })).toEqual({
    dropped: 5,
    broken: null,
  });
  const full = { healthy: false, message: "No space left on device" };
  expect(storeNotice({ dropped: none, store: full })).toEqual({
    dropped: 0,
    broken: "No space left on device",
  });
});
