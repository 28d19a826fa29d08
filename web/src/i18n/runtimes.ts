import { runtimes as en } from "./en/runtimes";
import { runtimes as ja } from "./ja/runtimes";
import { area } from "./language.svelte";

export const runtimesText = area(en, ja);
