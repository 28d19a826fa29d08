import { expect, test } from "vitest";
import { storeNotice } from "./storeNotice";

const store = { healthy: true, message: null };

test("nothing is said while nothing is wrong", () => {
  expect(storeNotice({ dropped: { queue_full: 0, store_unavailable: 0 }, store })).toBeNull();
});

test("drops of all causes are added up, and a store that stands still says why", () => {
  expect(storeNotice({ dropped: { queue_full: 2, store_unavailable: 3 }, store })).toEqual({
    dropped: 5,
    broken: null,
  });
  const full = { healthy: false, message: "No space left on device" };
  expect(storeNotice({ dropped: { queue_full: 0, store_unavailable: 0 }, store: full })).toEqual({
    dropped: 0,
    broken: "No space left on device",
  });
});
