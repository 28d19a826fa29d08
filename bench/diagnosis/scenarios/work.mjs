// Prompts and answers that are longer than they usually are, and prompts that were known before.
import { ENDLESS, ordinary } from "./common.mjs";

export const WORK = {
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
};
