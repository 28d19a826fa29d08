import { traces as en } from "./en/traces";
import { traces as ja } from "./ja/traces";
import { area } from "./language.svelte";

export const tracesText = area(en, ja);
