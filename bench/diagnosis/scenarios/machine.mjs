// A machine that is busy with other things, and other answers at the same time.
import { setTimeout as sleep } from "node:timers/promises";
import { Swap } from "../swap.mjs";
import { ENDLESS, NS, endless, ordinary, someTokens } from "./common.mjs";

/** Two questions at once; the second waits. */
async function behind(world, random) {
  const first = world.call({ content: ENDLESS, tokens: random.whole(200, 400) });
  await sleep(random.between(100, 300));
  const second = await world.call(ordinary(random));
  await first;
  return second;
}

export const MACHINE = {
  async "CPU hog"(world, random) {
    const end = world.hog(random.whole(3, 8));
    try {
      await sleep(random.between(500, 1500));
      const said = await world.call({ content: endless(random), tokens: someTokens(random) });
      return { said, right: ["cpu_starved"] };
    } finally {
      end();
      await sleep(1000);
    }
  },

  async queue(world, random) {
    const said = await behind(world, random);
    return { said, right: ["queue"], ns: said.figures.andon?.queue_duration };
  },

  async "memory pressure"(world, random) {
    // Part of the weights has no room, and comes from the disk again for each token.
    await world.holdModel(random);
    const all = await world.group.memory();
    await world.group.limitMemory(all - random.between(0.3, 0.7) * world.modelBytes);
    try {
      const said = await world.call({ content: endless(random), tokens: someTokens(random) });
      return { said, right: ["memory_pressure"] };
    } finally {
      await world.group.limitMemory(null);
    }
  },

  async "runtime paused"(world, random) {
    const paused = random.between(1500, 4000);
    const call = world.call({ content: endless(random), tokens: someTokens(random) });
    // While it reads or writes.
    await sleep(random.between(400, 700));
    world.runtime.signal("SIGSTOP");
    await sleep(paused);
    world.runtime.signal("SIGCONT");
    // Nothing that Andon sees of the machine explains it, and it must not make anything up.
    return { said: await call, right: ["unknown"], ns: paused * NS };
  },

  async "parallel answers"(world, random) {
    const said = await world.withTwoSlots(async () => {
      // The first one outlasts it.
      const other = world.call({ content: endless(random), tokens: random.whole(250, 350) });
      await sleep(random.between(200, 500));
      const second = await world.call({ content: endless(random), tokens: someTokens(random) });
      await other;
      return second;
    });
    return { said, right: ["parallel_generation"] };
  },

  async throttled(world, random) {
    await world.group.limitCpu(random.between(0.25, 0.6));
    try {
      const said = await world.call({ content: endless(random), tokens: someTokens(random) });
      return { said, right: ["throttled"] };
    } finally {
      await world.group.limitCpu(null);
    }
  },

  async swap(world, random) {
    // Weights and what llama.cpp computes in push each other out: the former come back from their file, the
    // latter from swap.
    await world.holdModel(random);
    const all = await world.group.memory();
    const swap = await Swap.start(world.folder, 2 * all);
    try {
      await world.group.preferSwap(true);
      await world.group.limitMemory(all * random.between(0.5, 0.62));
      const said = await world.call({ content: endless(random), tokens: someTokens(random) });
      return { said, right: ["memory_pressure"] };
    } finally {
      // All that is in it has to come back before it can go.
      await world.group.limitMemory(null);
      await world.group.preferSwap(false);
      await swap.end();
    }
  },

  async "CPU hog and a long prompt"(world, random) {
    const end = world.hog(random.whole(2, 3));
    try {
      await sleep(random.between(500, 1500));
      const said = await world.call({ content: random.words(random.whole(500, 900)) });
      return { said, right: ["cpu_starved", "long_prompt"], both: true };
    } finally {
      end();
      await sleep(1000);
    }
  },

  async "queue and a long answer"(world, random) {
    const first = world.call({ content: ENDLESS, tokens: random.whole(200, 300) });
    await sleep(random.between(100, 300));
    const said = await world.call({ content: endless(random), tokens: random.whole(200, 300) });
    await first;
    return { said, right: ["queue", "long_answer"], both: true };
  },
};
