// The way between an app, Andon and the runtime, and the app itself.
import { setTimeout as sleep } from "node:timers/promises";
import { NS, ordinary } from "./common.mjs";

export const WAYS = {
  async "slow network"(world, random) {
    const delay = random.between(400, 2000);
    world.relay.delayMs = delay;
    try {
      const said = await world.call(ordinary(random));
      // There and back.
      return { said, right: ["network"], ns: 2 * delay * NS };
    } finally {
      world.relay.delayMs = 0;
    }
  },

  async "slow first byte of the runtime's answer"(world, random) {
    // As of a proxy that thinks about it once, and lets all the rest through.
    const delay = random.between(400, 2000);
    world.relay.answerDelayMs = delay;
    try {
      const said = await world.call(ordinary(random));
      return { said, right: ["network"], ns: delay * NS };
    } finally {
      world.relay.answerDelayMs = 0;
    }
  },

  async "slow proxy between the app and Andon"(world, random) {
    // The app tells how long it waited for its HTTP call, as its SDK does by itself: the time passed neither
    // in what the app does, nor in the runtime.
    const delay = random.between(1500, 3000);
    world.front.answerDelayMs = delay;
    try {
      const url = `http://127.0.0.1:${world.front.port}`;
      const said = await world.ofApp(random, { ...ordinary(random), url });
      return { said, right: ["network"], ns: delay * NS };
    } finally {
      world.front.answerDelayMs = 0;
    }
  },

  async "slow app"(world, random) {
    const beforeMs = random.between(1500, 3000);
    const afterMs = random.between(0, 500);
    const said = await world.ofApp(random, { ...ordinary(random), beforeMs, afterMs });
    return { said, right: ["slow_app"], ns: (beforeMs + afterMs) * NS };
  },

  async "an app whose clock is off"(world, random) {
    const skewMs = random.between(5_000, 120_000) * (random.whole(0, 1) ? 1 : -1);
    const said = await world.ofApp(random, { ...ordinary(random), skewMs });
    return { said, right: ["none"] };
  },

  async "expired and an app's clock is off"(world, random) {
    await world.call({ ...ordinary(random), keep_alive: "500ms" });
    await sleep(1500);
    const skewMs = random.between(5_000, 120_000) * (random.whole(0, 1) ? 1 : -1);
    const said = await world.ofApp(random, { ...ordinary(random), skewMs, keep_alive: "5m" });
    return { said, right: ["keep_alive_expired"], ns: said.figures.load_duration };
  },
};
