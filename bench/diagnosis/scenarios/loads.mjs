// Why a model was not in memory.
import { setTimeout as sleep } from "node:timers/promises";
import { ordinary } from "./common.mjs";

export const LOADS = {
  async "runtime restarted"(world, random) {
    await world.restartRuntime();
    const said = await world.call(ordinary(random));
    return { said, right: ["cold_start"], ns: said.figures.load_duration };
  },

  async "keep-alive expired"(world, random) {
    const kept = random.between(0.5, 2);
    await world.call({ ...ordinary(random), keep_alive: `${Math.round(kept * 1000)}ms` });
    await sleep(kept * 1000 + random.between(500, 2000));
    const said = await world.call({ ...ordinary(random), keep_alive: "5m" });
    return { said, right: ["keep_alive_expired"], ns: said.figures.load_duration };
  },

  async "evicted by another model"(world, random) {
    await world.call({ ...ordinary(random), model: world.otherName });
    const said = await world.call(ordinary(random));
    return { said, right: ["evicted"], ns: said.figures.load_duration };
  },

  async "options changed"(world, random) {
    const content = random.words(random.whole(300, 600));
    await world.call({ content });
    const said = await world.call({ content, options: { num_ctx: random.whole(4, 7) * 512 } });
    // And back, so that the next one has no reason of this kind.
    await world.call(ordinary(random));
    return { said, right: ["options_changed"] };
  },

  async "expired and a long prompt"(world, random) {
    await world.call({ ...ordinary(random), keep_alive: "500ms" });
    await sleep(1500);
    const content = random.words(random.whole(300, 900));
    const said = await world.call({ content, keep_alive: "5m" });
    return { said, right: ["keep_alive_expired", "long_prompt"], both: true };
  },

  async "slow disk"(world, random) {
    await world.forgetModel();
    await world.group.limitReads(world.model, random.between(30, 90) * 1e6);
    try {
      const said = await world.call({ ...ordinary(random), keep_alive: "5m" });
      return { said, right: ["slow_disk"] };
    } finally {
      await world.group.limitReads(world.model, null);
    }
  },

  async "out of memory"(world, random) {
    let said;
    // A limit that the model just survives ends nobody: then a lower one.
    for (let room = random.between(2, 10) * 1e6; !world.runtime.ended && room > 1e5; room /= 2) {
      await world.group.limitMemory(null);
      await world.forgetModel();
      await world.group.limitMemory((await world.group.memory()) + room);
      const call = world.call({ ...ordinary(random), patienceMs: 180_000 });
      // With one that it neither lives nor dies of it reads its weights again and again.
      const isOver = await Promise.race([call.then(() => true), sleep(20_000)]);
      if (!isOver) await world.group.limitMemory(null);
      said = await call;
      await sleep(200);
    }
    await world.group.limitMemory(null);
    await world.restartRuntime();
    await world.call(ordinary(random));
    return { said, right: ["out_of_memory"] };
  },
};
