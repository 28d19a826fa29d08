// What is made to go wrong, and how much of it. Each gives what Andon said, the causes that are right, and
// for some what the cause cost in truth: as the runtime itself measured it, or as it was injected.
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "../../tests/e2e/harness/http.mjs";

const NS = 1e6;
const ENDLESS = `${"ABC ".repeat(10).trim()} 1 2 3 を続けてください`;

/** A call as most are: of this length, answered in about as many tokens. */
export function ordinary(random) {
  return { content: random.words(random.whole(30, 70)), tokens: random.whole(16, 32) };
}

/** Two questions at once; the second waits. */
async function behind(world, random) {
  const first = world.call({ content: ENDLESS, tokens: random.whole(200, 400) });
  await sleep(random.between(100, 300));
  const second = await world.call(ordinary(random));
  await first;
  return second;
}

/** A caller who has enough of it after `afterMs`. */
async function leave(world, random, content, afterMs) {
  const controller = new AbortController();
  const id = random
    .whole(1, 2 ** 31)
    .toString(16)
    .padStart(32, "1");
  const body = {
    model: world.modelName,
    messages: [{ role: "user", content }],
    options: { num_predict: 2000 },
  };
  const asked = fetch(`${world.andon.captureUrl}/api/chat`, {
    method: "POST",
    headers: { traceparent: `00-${id}-00000000000000a1-01` },
    body: JSON.stringify(body),
    signal: controller.signal,
  }).then((answer) => answer.text());
  await sleep(afterMs);
  controller.abort();
  await asked.catch(() => {});
  return world.explained(id);
}

/** Those that need a control group around the runtime. */
export const IN_A_GROUP = ["slow disk", "memory pressure", "out of memory"];

export const SCENARIOS = {
  async normal(world, random) {
    return { said: await world.call(ordinary(random)), right: ["none"] };
  },

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

  async "long prompt"(world, random) {
    const said = await world.call({ content: random.words(random.whole(500, 1200)) });
    return { said, right: ["long_prompt"] };
  },

  async "system prompt changed"(world, random) {
    const content = random.words(random.whole(400, 800));
    const at = () =>
      `It is ${random.whole(0, 23)}:${random.whole(10, 59)}:${random.whole(10, 59)}.`;
    await world.call({ content, system: at() });
    const said = await world.call({ content, system: at() });
    return { said, right: ["prompt_cache_lost"] };
  },

  async "cache taken by another conversation"(world, random) {
    const content = random.words(random.whole(400, 800));
    await world.call({ content });
    await world.call(ordinary(random));
    const said = await world.call({ content });
    return { said, right: ["prompt_cache_lost"] };
  },

  async "long answer"(world, random) {
    const said = await world.call({ content: ENDLESS, tokens: random.whole(250, 500) });
    return { said, right: ["long_answer"] };
  },

  async "CPU hog"(world, random) {
    const end = world.hog(random.whole(3, 8));
    try {
      await sleep(random.between(500, 1500));
      const said = await world.call({ content: ENDLESS, tokens: 32 });
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

  async "runtime killed"(world, random) {
    const call = world.call({ content: ENDLESS, tokens: 2000 });
    await sleep(random.between(300, 1500));
    await world.killRuntime();
    const said = await call;
    await world.restartRuntime();
    await world.call(ordinary(random));
    return { said, right: ["runtime_down"] };
  },

  async "client gone"(world, random) {
    const said = await leave(world, random, ENDLESS, random.between(500, 1500));
    return { said, right: ["client_gone"] };
  },

  async "client gone while the prompt is read"(world, random) {
    const content = random.words(random.whole(1200, 1800));
    const said = await leave(world, random, content, random.between(300, 1200));
    return { said, right: ["client_gone"] };
  },

  async "runtime paused"(world, random) {
    const paused = random.between(1500, 4000);
    const call = world.call({ content: ENDLESS, tokens: 48 });
    await sleep(random.between(600, 900));
    world.runtime.signal("SIGSTOP");
    await sleep(paused);
    world.runtime.signal("SIGCONT");
    // Nothing that Andon sees of the machine explains it, and it must not make anything up.
    return { said: await call, right: ["unknown"], ns: paused * NS };
  },

  async "model missing"(world, random) {
    const said = await world.call({ ...ordinary(random), model: `none-${random.whole(1, 999)}` });
    return { said, right: ["model_missing"] };
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

  async "memory pressure"(world, random) {
    // Part of the weights has no room, and comes from the disk again for each token.
    const all = await world.group.memory();
    await world.group.limitMemory(all - random.between(0.3, 0.7) * world.modelBytes);
    try {
      const said = await world.call({ content: ENDLESS, tokens: 48 });
      return { said, right: ["memory_pressure"] };
    } finally {
      await world.group.limitMemory(null);
    }
  },

  async "out of memory"(world, random) {
    await world.forgetModel();
    await world.group.limitMemory((await world.group.memory()) + random.between(2, 10) * 1e6);
    const said = await world.call(ordinary(random));
    await world.group.limitMemory(null);
    await world.restartRuntime();
    await world.call(ordinary(random));
    return { said, right: ["out_of_memory"] };
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

  async timeout(world, random) {
    // Through the chat's own way, which has a limit.
    const answer = await ask(`${world.strict.url}/chat`, {
      json: { message: ENDLESS, num_predict: 3000 + random.whole(0, 1000), temperature: 0 },
    });
    const said = await world.explainedBy(world.strict, answer.json.trace_id);
    return { said, right: ["timeout"], says: /while writing the answer/ };
  },

  async "timeout while the prompt is read"(world, random) {
    const message = random.words(random.whole(1300, 1800));
    const answer = await ask(`${world.strict.url}/chat`, { json: { message } });
    const said = await world.explainedBy(world.strict, answer.json.trace_id);
    return { said, right: ["timeout"], says: /while reading the prompt/ };
  },

  async "timeout while waiting"(world, random) {
    const first = world.call({ content: ENDLESS, tokens: random.whole(250, 400) });
    await sleep(random.between(300, 600));
    const answer = await ask(`${world.strict.url}/chat`, {
      json: { message: random.words(random.whole(20, 60)) },
    });
    const said = await world.explainedBy(world.strict, answer.json.trace_id);
    await first;
    return { said, right: ["timeout"], says: /while waiting for its turn/ };
  },
};
