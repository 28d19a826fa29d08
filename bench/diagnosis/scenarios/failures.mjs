// Calls that fail.
import { setTimeout as sleep } from "node:timers/promises";
import { ask } from "../../../tests/e2e/harness/http.mjs";
import { ENDLESS, ordinary } from "./common.mjs";

/** A caller who has enough of it after `afterMs`. */
async function leave(world, random, content, afterMs) {
  const controller = new AbortController();
  const id = random
    .whole(1, 2 ** 31)
    .toString(16)
    .padStart(32, "1");
  world.asked += 1;
  const number = world.asked;
  const { path, body } = world.request({ content, tokens: 2000, stream: true });
  const asked = fetch(world.andon.captureUrl + path, {
    method: "POST",
    headers: { traceparent: `00-${id}-00000000000000a1-01` },
    body: JSON.stringify(body),
    signal: controller.signal,
  }).then((answer) => answer.text());
  await sleep(afterMs);
  controller.abort();
  await asked.catch(() => {});
  return { ...(await world.explained(id)), number };
}

export const FAILURES = {
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

  async "model missing"(world, random) {
    const said = await world.call({ ...ordinary(random), model: `none-${random.whole(1, 999)}` });
    return { said, right: ["model_missing"] };
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
