import { connect as en } from "./en/connect";
import { connect as ja } from "./ja/connect";
import { area } from "./language.svelte";

export const connectText = area(en, ja);
