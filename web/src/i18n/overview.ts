import { overview as en } from "./en/overview";
import { overview as ja } from "./ja/overview";
import { area } from "./language.svelte";

export const overviewText = area(en, ja);
