import { capacity as en } from "./en/capacity";
import { capacity as ja } from "./ja/capacity";
import { area } from "./language.svelte";

export const capacityText = area(en, ja);
